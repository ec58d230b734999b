import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createRepository } from '../../src/repository/init.ts';
import { openRepository } from '../../src/repository/repository.ts';
import { openStore } from '../../src/storage/open.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { createConnection } from '../../src/storage/sftp/connection.ts';
import { REQUEST } from '../../src/storage/sftp/protocol.ts';
import type { SftpStoreOptions } from '../../src/storage/sftp/ssh-command.ts';
import { openSftpStore } from '../../src/storage/sftp/store.ts';
import { string } from '../../src/storage/sftp/wire.ts';
import { backUp, openOptions, readBack, sampleSource, temporaryFolder } from '../repository/fixture.ts';
import { startSshd, type Sshd } from '../storage/sftp/sshd.ts';

const body = Buffer.from('body');
const DAY_S = 24 * 60 * 60;
let server: Sshd;
let places = 0;

beforeAll(async () => {
  server = await startSshd();
});
afterAll(() => server[Symbol.asyncDispose]());

/** A place that nobody has used. */
const newPlace = (): string => join(server.data, `place-${(places += 1)}`);
const open = (place: string, change: Partial<SftpStoreOptions> = {}): Promise<ObjectStore> =>
  openSftpStore({ ...server.options(place), ...change });
const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe('an SFTP store', () => {
  it('makes nothing before the first put, and then private folders and files', async () => {
    const place = newPlace();
    const store = await open(join(place, 'deep/'));
    await expect(store.get('lifeboat.json')).rejects.toMatchObject({ code: 'object-missing' });
    for await (const object of store.list('')) expect.fail(object.key);
    expect(readdirSync(server.data)).not.toContain(place);
    await store.put('packs/ab/x.age', body);
    for (const folder of ['', 'deep', 'deep/tmp', 'deep/packs', 'deep/packs/ab'])
      expect(modeOf(join(place, folder))).toBe(0o700);
    expect(modeOf(join(place, 'deep/packs/ab/x.age'))).toBe(0o600);
    expect(readdirSync(join(place, 'deep/tmp'))).toEqual([]);
  });

  it('takes a path from where the server lets the user in', async () => {
    for (const path of ['relative', './relative/', '~/relative'])
      await (await open(path)).put(`k/${path.length}`, body);
    expect(readdirSync(join(server.data, 'relative/k'))).toHaveLength(3);
  });

  it('sweeps temporary files that are older than a day with its first put', async () => {
    const place = newPlace();
    mkdirSync(join(place, 'tmp'), { recursive: true });
    const old = Date.now() / 1000 - DAY_S - 60;
    for (const name of ['old', 'young']) writeFileSync(join(place, 'tmp', name), name);
    utimesSync(join(place, 'tmp/old'), old, old);
    await (await open(place)).put('k/one', body);
    expect(readdirSync(join(place, 'tmp'))).toEqual(['young']);
  });

  it('neither lists nor reads links and pipes, and lists nothing of its temporary files', async () => {
    const place = newPlace();
    const store = await open(place);
    await store.put('k/one', body);
    execFileSync('ln', ['-s', '/etc/hostname', join(place, 'k/link')]);
    execFileSync('mkfifo', [join(place, 'k/pipe')]);
    writeFileSync(join(place, 'tmp/x'), '');
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    expect(keys).toEqual(['k/one']);
    for (const key of ['k/link', 'k/pipe'])
      await expect(store.get(key)).rejects.toMatchObject({ code: 'file-unreadable' });
  });

  it('lists objects of more folders than it reads at once', async () => {
    const store = await open(newPlace());
    const keys = Array.from({ length: 30 }, (_, i) => `packs/${i}/${i % 3}/object`);
    await Promise.all(keys.map((key) => store.put(key, body)));
    const listed: string[] = [];
    for await (const { key } of store.list('packs/')) listed.push(key);
    expect(listed.toSorted()).toEqual(keys.toSorted());
  });

  it('goes on after the connection broke between two calls, and after the server was away', async () => {
    const store = await open(newPlace());
    await store.put('k/one', body);
    server.dropConnections();
    // The put whose connection broke may have gone through.
    await expect
      .poll(() => store.put('k/two', body).catch(() => 'broken'), { timeout: 10_000 })
      .toMatch(/^(?:created|exists)$/);
    await server.stop();
    await expect(store.get('k/one')).rejects.toMatchObject({ code: 'store-unreachable', transient: true });
    await server.start();
    expect(await store.get('k/one')).toEqual(body);
  });

  it('fails a put whose connection breaks, shows nothing of it, and can repeat it', async () => {
    const place = newPlace();
    const store = await open(place);
    await store.put('k/one', body);
    const large = Buffer.alloc(64 << 20, 'x');
    const put = store.put('k/large', large);
    const outcome = put.catch((error: { code: string }) => error.code);
    const begun = (): boolean => readdirSync(join(place, 'tmp')).length > 0;
    await expect.poll(begun, { interval: 1, timeout: 10_000 }).toBe(true);
    server.dropConnections();
    expect(await outcome).toBe('store-unreachable');
    expect(await store.stat('k/large')).toBeUndefined();
    expect(await store.put('k/large', large)).toBe('created');
    expect(Buffer.compare(await store.get('k/large'), large)).toBe(0);
  });

  it('is found by its place in lifeboat.yaml, and a broken connection is tried again', async () => {
    const { identityFile, knownHostsFile, sshOptions = [] } = server.options('');
    const sftp = { identityFile, knownHostsFile, options: sshOptions };
    const path = `sftp://${userInfo().username}@127.0.0.1:${server.port}/${newPlace()}`;
    const retried: string[] = [];
    const store = await openStore({ path, sftp }, (error) => retried.push(error.code));
    expect(store.location).toBe(path);
    await store.put('k/one', body);
    await server.stop();
    const read = store.get('k/one');
    await expect.poll(() => retried.length, { timeout: 10_000 }).toBeGreaterThan(0);
    await server.start();
    expect(await read).toEqual(body);
    expect(new Set(retried)).toEqual(new Set(['store-unreachable']));
  });

  it('refuses a host whose key is not known, or has changed', async () => {
    const unknown = join(server.directory, 'no known hosts');
    await expect((await open('x', { knownHostsFile: unknown })).get('k')).rejects.toMatchObject({
      code: 'store-denied',
      message: expect.stringContaining('its host key is not known') as string,
    });
    const changed = join(server.directory, 'changed known hosts');
    const other = readFileSync(join(server.directory, 'client.pub'), 'utf8');
    writeFileSync(changed, `[127.0.0.1]:${server.port} ${other}`);
    await expect((await open('x', { knownHostsFile: changed })).get('k')).rejects.toMatchObject({
      code: 'store-denied',
      transient: false,
      message: expect.stringContaining('its host key is not the one that is known') as string,
    });
  });

  it('says that its key is refused, and does not ask for a password', async () => {
    const stranger = join(server.directory, 'stranger');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', stranger]);
    await expect((await open('x', { identityFile: stranger })).get('k')).rejects.toMatchObject({
      code: 'store-denied',
      message: expect.stringContaining('it refuses our key') as string,
    });
  });

  it('says that nobody is there', async () => {
    await expect((await open('x', { port: 1 })).get('k')).rejects.toMatchObject({
      code: 'store-unreachable',
      message: expect.stringContaining('Connection refused') as string,
    });
  });

  it('lets the program end although ssh is still there, and ssh ends with it', async () => {
    const mark = `SetEnv=LIFEBOAT_TEST=${process.pid}`;
    const program = `
      const { openSftpStore } = await import(process.argv[1]);
      const store = await openSftpStore(JSON.parse(process.argv[2]));
      console.log(await store.put('k/one', Buffer.from('body')), String(await store.get('k/one')));
    `;
    const module = join(import.meta.dirname, '../../src/storage/sftp/store.ts');
    const options = { ...server.options(newPlace()), sshOptions: [mark] };
    const argv = ['--input-type=module', '-e', program, module, JSON.stringify(options)];
    const { stdout, status, stderr } = spawnSync(process.execPath, argv, {
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toBe('created body\n');
    await expect.poll(() => processesWith(mark), { timeout: 10_000 }).toEqual([]);
  });

  it('ends ssh when nobody needs it, and starts it again', async () => {
    const mark = `SetEnv=LIFEBOAT_IDLE_TEST=${process.pid}`;
    const connection = createConnection({ ...server.options('x'), sshOptions: [mark] }, 50);
    for (const _ of [1, 2]) {
      await connection.use((session) => session.request(REQUEST.lstat, string('x')));
      expect(processesWith(mark)).toHaveLength(1);
      await expect.poll(() => processesWith(mark), { timeout: 10_000 }).toEqual([]);
    }
  });

  it('holds a whole repository: backup, check of all data, and everything read back', async () => {
    await using folder = await temporaryFolder();
    const place = newPlace();
    const store = await open(place);
    const keys = { hostKeyFile: join(folder.path, 'host.key'), adminKeyFile: join(folder.path, 'admin.key') };
    const { recoveryIdentity } = await createRepository(store, {
      ...keys,
      clock: systemClock,
      version: '0.1.0',
    });
    const options = { ...openOptions(folder.path), identities: [recoveryIdentity!] };
    const source = sampleSource();
    const { entry } = await backUp(await openRepository(store, options), source);
    const again = await openRepository(await open(place), options);
    expect(await again.check({ readData: 'all', decrypt: true })).toMatchObject({
      ok: true,
      findings: [],
      snapshots: 1,
    });
    expect(await readBack(again, entry.id)).toEqual(source);
  });
});

/** Command lines of the running processes that hold a text. */
function processesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [readFileSync(`/proc/${name}/cmdline`, 'utf8')];
      } catch {
        return [];
      }
    })
    .filter((commandLine) => commandLine.includes(text));
}
