import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectStore } from '../../src/storage/port.ts';
import { openSftpStore } from '../../src/storage/sftp/store.ts';

/** The server that sshd would start, without sshd: so that faults can be put between. */
const SERVER = '/usr/lib/openssh/sftp-server';
const body = Buffer.alloc(100_000, 'x');

let folder: string;
let root: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-sftp-fault-'));
  root = join(folder, 'store');
  mkdirSync(root);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A store whose `ssh` is this script. */
async function storeBehind(script: string): Promise<ObjectStore> {
  const program = join(folder, `ssh-${readdirSync(folder).length}`);
  writeFileSync(program, `#!/bin/sh\nroot='${root}'\n${script}\n`);
  chmodSync(program, 0o755);
  return await openSftpStore({ host: 'faulty', path: root, sshProgram: program, connectTimeoutMs: 10_000 });
}

const inOwnMounts = (mount: string): string =>
  `exec unshare --map-root-user --mount sh -ec "${mount}; exec ${SERVER}"`;
const underStrace = (...options: readonly string[]): string =>
  `exec strace -f -qq -o '${join(folder, 'trace')}' ${options.join(' ')} ${SERVER}`;
const objects = (): string[] => (readdirSync(root).includes('k') ? readdirSync(join(root, 'k')) : []);

describe('an SFTP store', () => {
  it('syncs an object before it has its name, and the folders of the name before it says created', async () => {
    const store = await storeBehind(underStrace('-e', 'trace=fsync,link,unlink'));
    expect(await store.put('k/one', body)).toBe('created');
    // Without the paths: the server lets nobody but root look into its memory.
    const trace = readFileSync(join(folder, 'trace'), 'utf8');
    const calls = [...trace.matchAll(/^\d+ +(\w+)\(.* = (?:0|-1 (E\w+))/gm)].map(([, call, error]) =>
      error === undefined ? call : `${call} ${error}`,
    );
    expect(calls).toEqual([
      // Of the root, since tmp is new; of the temporary file.
      'fsync',
      'fsync',
      // The folder of the object is missing, is made, and its name is synced.
      'link ENOENT',
      'fsync',
      'link',
      // Of the object's folder, and of the one above.
      'fsync',
      'fsync',
      'unlink',
    ]);
  });

  it('on a full disk says so, and keeps nothing of the object', async () => {
    const store = await storeBehind(inOwnMounts('mount -t tmpfs -o size=1m none $root'));
    expect(await store.put('k/small', body)).toBe('created');
    await expect(store.put('k/large', Buffer.alloc(2_000_000))).rejects.toMatchObject({
      code: 'disk-full',
      message: expect.stringContaining(`cannot write ${root}/k/large: no space left`) as string,
    });
    expect(await store.stat('k/large')).toBeUndefined();
    expect(await store.put('k/small again', body)).toBe('created');
  });

  it('on a read-only file system says so, and still reads', async () => {
    const writable = await storeBehind(`exec ${SERVER}`);
    await writable.put('k/one', body);
    const store = await storeBehind(inOwnMounts('mount --bind $root $root; mount -o remount,ro,bind $root'));
    await expect(store.put('k/two', body)).rejects.toMatchObject({
      code: 'file-unwritable',
      message: expect.stringContaining('file system is read-only') as string,
    });
    expect(await store.get('k/one')).toEqual(body);
  });

  it.each([
    ['fsync', 2],
    ['link', 1],
    ['fsync', 4],
  ] as const)('never says created when the server’s disk fails at %s %i', async (call, when) => {
    const store = await storeBehind(underStrace('-e', `inject=${call}:error=EIO:when=${when}+`));
    const result = await store.put('k/one', body).catch((error: { code: string }) => error.code);
    expect(readFileSync(join(folder, 'trace'), 'utf8')).toContain('(INJECTED)');
    expect(result).toBe('file-unwritable');
  });

  it.each(['openat', 'write', 'fsync', 'link', 'mkdir'])(
    'shows an object whole or not at all when the server is killed at %s, and goes on with a new one',
    async (call) => {
      const store = await storeBehind(
        // Only the first server is faulty.
        `mkdir '${join(folder, 'faulty')}' 2>&- || exec ${SERVER}\n${underStrace('-P', root, '-P', `${root}/tmp`, '-P', `${root}/k`, '-e', `inject=${call}:signal=KILL:when=2`)}`,
      );
      const first = await store.put('k/one', body).catch((error: { code: string }) => error.code);
      expect(['created', 'store-unreachable']).toContain(first);
      for (const name of objects()) expect(readFileSync(join(root, 'k', name))).toEqual(body);
      expect(['created', 'exists']).toContain(await store.put('k/one', body));
      expect(await store.get('k/one')).toEqual(body);
    },
  );

  it('fails what is under way as unreachable when the connection breaks within a put', async () => {
    const store = await storeBehind(`(sleep 1; kill $$) & head -c 300000 | ${SERVER}`);
    const large = Buffer.alloc(4_000_000, 'y');
    await expect(store.put('k/large', large)).rejects.toMatchObject({
      code: 'store-unreachable',
      transient: true,
    });
    expect(objects()).toEqual([]);
  });

  it('reads from a server that lacks hard links and fsync, and refuses to write there', async () => {
    await (await storeBehind(`exec ${SERVER}`)).put('k/one', body);
    const store = await storeBehind(`exec ${SERVER} -P hardlink,fsync`);
    expect(await store.get('k/one')).toEqual(body);
    await expect(store.put('k/two', body)).rejects.toMatchObject({
      code: 'store-denied',
      message: expect.stringContaining('lacks hardlink@openssh.com and fsync@openssh.com') as string,
    });
  });

  it('puts where nothing may be deleted, and says that a deletion is refused', async () => {
    const store = await storeBehind(`exec ${SERVER} -P remove,rename,posix-rename`);
    expect(await store.put('k/one', body)).toBe('created');
    expect(await store.put('k/one', body)).toBe('exists');
    await expect(store.delete('k/one')).rejects.toMatchObject({ code: 'store-denied' });
    expect(await store.get('k/one')).toEqual(body);
  });

  it('tells a login script that prints something, and a server that never answers', async () => {
    const chatty = await storeBehind("echo 'Welcome to example'; exec cat > /dev/null");
    await expect(chatty.get('k')).rejects.toMatchObject({
      code: 'store-denied',
      message: expect.stringContaining('it sent the text "Welcome to example"') as string,
    });
    const program = join(folder, 'silent');
    writeFileSync(program, '#!/bin/sh\nexec cat > /dev/null\n', { mode: 0o755 });
    const silent = await openSftpStore({ host: 'x', path: root, sshProgram: program, connectTimeoutMs: 300 });
    await expect(silent.get('k')).rejects.toMatchObject({ code: 'store-unreachable' });
  });

  it('names the program that is missing', async () => {
    const store = await openSftpStore({ host: 'x', path: root, sshProgram: join(folder, 'no-ssh') });
    await expect(store.get('k')).rejects.toMatchObject({ code: 'command-missing' });
  });
});
