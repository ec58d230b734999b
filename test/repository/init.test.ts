import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createRepository } from '../../src/repository/init.ts';
import { generateIdentity, recipientOf } from '../../src/repository/seal.ts';
import { openRepository } from '../../src/repository/repository.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import {
  backUp,
  dataIdentityOf,
  makeRepository,
  openOptions,
  readBack,
  sampleSource,
  temporaryFolder,
} from './fixture.ts';
import { aroundPut, createMemoryStore, listAll } from './memory-store.ts';

describe('init', () => {
  it('makes key files that only their owner may read, and shows the identity only when it is asked to', async () => {
    await using folder = await temporaryFolder();
    const created = await init(folder.path);
    for (const file of [created.hostKeyFile, created.adminKeyFile])
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(inspect(created) + JSON.stringify(created)).not.toContain('AGE-SECRET-KEY');
    expect(created.recoveryIdentity?.reveal()).toMatch(/^AGE-SECRET-KEY-1/);
  });

  it('keeps the recovery identity nowhere, and gives the host no key that opens packs or manifests', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const files = await Promise.all((await listAll(fixture.store)).map(({ key }) => fixture.store.get(key)));
    const local = [join(fixture.directory, 'host.key'), join(fixture.directory, 'admin.key')];
    const everything = Buffer.concat([
      ...files,
      ...(await Promise.all(local.map((path) => readFile(path)))),
    ]).toString('latin1');
    expect(everything).not.toContain(fixture.identity.reveal());
  });

  it('writes the data key in clear nowhere, and neither does a backup, a restore or another recipient', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const { entry } = await backUp(repository, sampleSource());
    await readBack(repository, entry.id);
    await repository.addRecipients([(await generateIdentity()).recipient]);
    const secret = (await dataIdentityOf(fixture)).reveal();
    const names = await readdir(fixture.directory, { recursive: true, withFileTypes: true });
    const files = names.filter((name) => name.isFile()).map((name) => join(name.parentPath, name.name));
    expect(files.length).toBeGreaterThan(10);
    for (const file of files) expect((await readFile(file)).includes(secret), file).toBe(false);
    expect(inspect(repository) + JSON.stringify(repository)).not.toContain('AGE-SECRET-KEY');
  });

  it('seals to the recipients that are given, and makes no identity then', async () => {
    await using folder = await temporaryFolder();
    const keys = await Promise.all([generateIdentity(), generateIdentity()]);
    const store = createMemoryStore();
    const created = await init(folder.path, store, { recipients: keys.map(({ recipient }) => recipient) });
    expect(created.recoveryIdentity).toBeUndefined();
    const source = sampleSource();
    const { entry } = await backUp(await openRepository(store, openOptions(folder.path)), source);
    for (const { identity } of keys) {
      const repository = await openRepository(store, { ...openOptions(folder.path), identities: [identity] });
      expect(await readBack(repository, entry.id)).toEqual(source);
    }
  });

  it('lists who can open what, without any secret', async () => {
    await using fixture = await makeRepository();
    const keys = await (await fixture.open()).keys();
    const { recipients, dataRecipient, indexRecipient, hostPublicKey, adminPublicKey } = keys;
    expect(recipients).toEqual([{ recipient: await recipientOf(fixture.identity.reveal()), since: 1 }]);
    expect(new Set([recipients[0]!.recipient, dataRecipient, indexRecipient]).size).toBe(3);
    expect(JSON.stringify(keys)).not.toContain('SECRET');
    expect([hostPublicKey, adminPublicKey]).toEqual([
      expect.stringMatching(/^[0-9a-f]{64}$/),
      expect.stringMatching(/^[0-9a-f]{64}$/),
    ]);
  });

  it('refuses a place that holds a repository, and leaves that and its keys alone', async () => {
    await using fixture = await makeRepository();
    const before = await listAll(fixture.store);
    const again = createRepository(fixture.store, {
      hostKeyFile: join(fixture.directory, 'host2.key'),
      adminKeyFile: join(fixture.directory, 'admin2.key'),
      clock: systemClock,
      version: '0.1.0',
    });
    await expect(again).rejects.toMatchObject({ code: 'repository-exists' });
    expect(await listAll(fixture.store)).toEqual(before);
    expect(await readdir(fixture.directory)).not.toContain('host2.key');
  });

  it('refuses to overwrite a key file, and takes back what it made until then', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'admin.key'), 'precious');
    const store = createMemoryStore();
    await expect(init(folder.path, store)).rejects.toMatchObject({ code: 'repository-exists' });
    expect(await readFile(join(folder.path, 'admin.key'), 'utf8')).toBe('precious');
    expect(await readdir(folder.path)).toEqual(['admin.key']);
    expect(store.objects.size).toBe(0);
  });

  it('can be repeated when it failed at any of its writes', async () => {
    await using folder = await temporaryFolder();
    const writes = 6;
    for (let failing = 1; failing <= writes; failing += 1) {
      const store = createMemoryStore();
      let put = 0;
      const faulty = aroundPut(store, async (_, next) => {
        put += 1;
        if (put === failing) throw new Error('no space');
        return next();
      });
      await expect(init(folder.path, faulty)).rejects.toThrow('no space');
      expect(await readdir(folder.path)).toEqual([]);
      const again = join(folder.path, `again-${failing}`);
      await init(again, store);
      expect(await (await openRepository(store, openOptions(again))).snapshots()).toEqual([]);
      await rm(again, { recursive: true });
    }
  });

  it('refuses a store that cannot create only', async () => {
    await using folder = await temporaryFolder();
    const store = {
      ...createMemoryStore(),
      capabilities: { createOnly: 'none' as const, objectLock: false, versioning: false },
    };
    await expect(init(folder.path, store)).rejects.toMatchObject({ code: 'usage' });
  });

  it('refuses a recipient that is none, or is given twice, before it makes anything', async () => {
    await using folder = await temporaryFolder();
    const { identity, recipient } = await generateIdentity();
    const store = createMemoryStore();
    for (const recipients of [['age1nonsense'], [recipient, recipient], [identity.reveal()]]) {
      await expect(init(folder.path, store, { recipients })).rejects.toMatchObject({
        code: 'recipient-invalid',
        message: expect.not.stringContaining('AGE-SECRET'),
      });
    }
    expect([await readdir(folder.path), store.objects.size]).toEqual([[], 0]);
  });
});

describe('a key file', () => {
  it.each([0o640, 0o604, 0o660, 0o644])('with mode %o is refused', async (mode) => {
    await using fixture = await makeRepository();
    await chmod(join(fixture.directory, 'host.key'), mode);
    await chmod(join(fixture.directory, 'admin.key'), mode);
    const repository = await fixture.open();
    await expect(repository.startBackup()).rejects.toMatchObject({ code: 'key-file-mode' });
    await expect(repository.prune({ dryRun: false, graceMs: 0 })).rejects.toMatchObject({
      code: 'key-file-mode',
    });
  });

  it('that is missing, malformed, of the other role or of another repository is named', async () => {
    await using fixture = await makeRepository();
    await using other = await makeRepository();
    const malformed = join(fixture.directory, 'malformed.key');
    await writeFile(malformed, 'AGE-SECRET-KEY-1SOMETHING', { mode: 0o600 });
    for (const file of [
      undefined,
      join(fixture.directory, 'none.key'),
      malformed,
      join(fixture.directory, 'admin.key'),
      join(other.directory, 'host.key'),
    ]) {
      const failure = await (
        await fixture.open({ hostKeyFile: file })
      )
        .startBackup()
        .catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'host-key-missing' });
      expect((failure as Error).message).not.toContain('SOMETHING');
    }
  });
});

function init(
  directory: string,
  store: ObjectStore = createMemoryStore(),
  options: { recipients?: string[] } = {},
) {
  const [hostKeyFile, adminKeyFile] = [join(directory, 'host.key'), join(directory, 'admin.key')];
  return createRepository(store, {
    hostKeyFile,
    adminKeyFile,
    clock: systemClock,
    version: '0.1.0',
    ...options,
  });
}
