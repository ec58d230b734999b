import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../src/core/errors.ts';
import type { CheckFinding, CheckOptions } from '../../src/repository/port.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { backUp, makeRepository, sampleSource, type Fixture } from './fixture.ts';
import { copyToMemory, flipBit, type MemoryStore, listAll } from './memory-store.ts';

const CLASSES = ['packs/', 'index/', 'manifests/', 'refs/', 'archives/', 'keys/'];

describe('check without any key', () => {
  it('finds nothing in a sound repository, and says what it has read', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const result = await check(fixture, fixture.store);
    expect(result).toMatchObject({ ok: true, findings: [], snapshots: 1 });
    const stored = await listAll(fixture.store);
    expect(result.objects).toBe(stored.length);
  });

  it.each(CLASSES)(
    'names a flipped, cut, missing and exchanged object of %s with the snapshots that need it',
    async (prefix) => {
      await using fixture = await makeRepository();
      const { entry: first } = await backUp(await fixture.open(), sampleSource('first'));
      const { entry: second } = await backUp(await fixture.open(), sampleSource('second'));
      const damages: Record<string, (store: MemoryStore, key: string, other: string) => void> = {
        flipped: (store, key) => store.objects.set(key, flipBit(store.objects.get(key)!, 999)),
        cut: (store, key) => store.objects.set(key, store.objects.get(key)!.subarray(0, -1)),
        empty: (store, key) => store.objects.set(key, new Uint8Array()),
        missing: (store, key) => store.objects.delete(key),
        exchanged: (store, key, other) => store.objects.set(key, store.objects.get(other)!),
      };
      const copy = await copyToMemory(fixture.store);
      const keys = [...copy.objects.keys()].filter((key) => key.startsWith(prefix));
      for (const [name, damage] of Object.entries(damages)) {
        for (const key of keys) {
          const store = await copyToMemory(copy);
          damage(store, key, keys.find((one) => one !== key) ?? 'lifeboat.json');
          const { ok, findings } = await check(fixture, store);
          expect(ok, `${name} ${key}`).toBe(false);
          expect(
            findings.map(({ object }) => object),
            name,
          ).toEqual([key]);
          const [finding] = findings as [CheckFinding];
          expect([[first.id], [second.id], [first.id, second.id]]).toContainEqual(finding.snapshots);
          expect(finding.consequence).not.toBe('');
        }
      }
    },
  );

  it.each(['EACCES', 'EMFILE', 'ENOMEM', 'EIO'])(
    'takes %s for what it is: of the place, or of one object',
    async (code) => {
      await using fixture = await makeRepository();
      const { entry } = await backUp(await fixture.open(), sampleSource());
      const store = await copyToMemory(fixture.store);
      const key = [...store.objects.keys()].find((one) => one.startsWith('packs/'))!;
      const get: ObjectStore['get'] = async (wanted, range) => {
        if (wanted !== key) return store.get(wanted, range);
        throw new LifeboatError('file-unreadable', `cannot read ${key}`, {
          cause: Object.assign(new Error(code), { code }),
        });
      };
      const checking = check(fixture, { ...store, get }, { readData: 'all' });
      if (code === 'EIO')
        expect((await checking).findings).toMatchObject([{ object: key, snapshots: [entry.id] }]);
      else await expect(checking).rejects.toMatchObject({ code: 'file-unreadable' });
    },
  );

  it('stops between two objects when it is interrupted', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const checking = check(fixture, fixture.store, { readData: 'all', signal: AbortSignal.abort() });
    await expect(checking).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('finds a pack of another size or a missing one without reading packs', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const store = await copyToMemory(fixture.store);
    const [key] = [...store.objects.keys()].filter((one) => one.startsWith('packs/'));
    store.objects.set(key!, store.objects.get(key!)!.subarray(1));
    const result = await check(fixture, store, { readData: 'none' });
    expect(result.findings.map(({ object, problem }) => [object, problem.includes('instead of')])).toEqual([
      [key, true],
    ]);
  });

  it('reads about the share of the packs that was asked for', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const none = await check(fixture, fixture.store, { readData: 'none' });
    const all = await check(fixture, fixture.store, { readData: { share: 1 } });
    const some = await check(fixture, fixture.store, { readData: { share: 0.5 } });
    expect(all.bytesRead).toBeGreaterThan(none.bytesRead + 300_000);
    expect(some.bytesRead).toBeGreaterThanOrEqual(none.bytesRead);
    expect(some.bytesRead).toBeLessThanOrEqual(all.bytesRead);
  });

  it('counts the packs that it has read, and those that are there', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const packs = await listAll(fixture.store, 'packs/');
    const all = { count: packs.length, bytes: packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
    const parts = await Promise.all(
      [1, 2, 3].map((part) => check(fixture, fixture.store, { readData: { part, of: 3 } })),
    );
    expect(parts.map((result) => result.packs)).toEqual([all, all, all]);
    const read = parts.map(({ packsRead }) => packsRead.bytes);
    expect(read.reduce((sum, bytes) => sum + bytes, 0)).toBe(all.bytes);
  });

  it('finds damage in the part of the packs that it is in, and in no other', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const store = await copyToMemory(fixture.store);
    const [key = ''] = [...store.objects.keys()].filter((one) => one.startsWith('packs/'));
    store.objects.set(key, flipBit(store.objects.get(key)!, 999));
    const found = await Promise.all(
      [1, 2, 3, 4].map((part) => check(fixture, store, { readData: { part, of: 4 } })),
    );
    expect(found.flatMap(({ findings }) => findings.map(({ object }) => object))).toEqual([key]);
  });

  it('says until when Object Lock protects what is needed, and how much of it is not', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    expect((await check(fixture, fixture.store)).protection).toBeUndefined();
    const [packs, garbage] = [await listAll(fixture.store, 'packs/'), `packs/aa/${'a'.repeat(64)}.age`];
    const until: Record<string, Date | undefined> = {
      [packs[0]!.key]: new Date('2100-02-01'),
      [packs[1]!.key]: new Date('2000-01-01'),
      'log/0000000001.json': undefined,
      [garbage]: new Date('2099-01-01'),
    };
    const locking: ObjectStore = {
      ...fixture.store,
      capabilities: { ...fixture.store.capabilities, objectLock: true },
      stat: async (key) => {
        const stat = await fixture.store.stat(key);
        const lockedUntil = key in until ? until[key] : new Date('2100-03-01');
        return stat && { ...stat, ...(lockedUntil && { lockedUntil }) };
      },
    };
    const objects = (await listAll(fixture.store)).length;
    expect((await check(fixture, locking)).protection).toEqual({
      objects,
      unprotected: 2,
      earliest: new Date('2100-02-01'),
      latest: new Date('2100-03-01'),
    });
    await (await fixture.open()).forget([entry.id], {});
    expect((await check(fixture, locking)).protection).toMatchObject({
      unprotected: 1,
      earliest: new Date('2100-03-01'),
    });
  });

  it('calls nothing damaged that it could not ask for', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    for (const code of ['store-unreachable', 'store-denied'] as const) {
      const failing: ObjectStore = {
        ...fixture.store,
        get: (key, range) =>
          key.startsWith('packs/')
            ? Promise.reject(new LifeboatError(code, 'not now'))
            : fixture.store.get(key, range),
      };
      await expect(check(fixture, failing)).rejects.toMatchObject({ code });
    }
  });

  it('finds a changed or missing recovery script, for it is run with the identity', async () => {
    await using fixture = await makeRepository();
    const store = await copyToMemory(fixture.store);
    store.objects.set('recover.sh', Buffer.from('curl evil.example'));
    store.objects.delete('RECOVER.md');
    const { findings } = await check(fixture, store);
    expect(findings.map(({ object }) => object).toSorted()).toEqual(['RECOVER.md', 'recover.sh']);
  });

  it('warns about foreign objects, and calls damaged garbage no loss', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    await backUp(repository, sampleSource());
    const writer = await repository.startBackup();
    const garbage = await writer.addArchive([]);
    const store = await copyToMemory(fixture.store);
    store.objects.set('packs/aa/notes.txt', Buffer.from('hello'));
    store.objects.set('log/README', Buffer.from('hello'));
    store.objects.set(garbage.object, Buffer.from('rot'));
    const { findings } = await check(fixture, store);
    expect(
      findings
        .filter(({ severity }) => severity === 'warning')
        .map(({ object }) => object)
        .toSorted(),
    ).toEqual(['log/README', 'packs/aa/notes.txt']);
    expect(findings.find(({ object }) => object === garbage.object)).toMatchObject({
      snapshots: [],
      consequence: 'no snapshot needs it; prune removes it',
    });
  });
});

describe('check with an identity', () => {
  it('needs one', async () => {
    await using fixture = await makeRepository();
    const keyless = await fixture.open({ identities: [] });
    expect(keyless.canRead).toBe(false);
    await expect(keyless.check({ readData: 'all', decrypt: true })).rejects.toMatchObject({
      code: 'identity-missing',
    });
  });

  it('verifies every blob and every place that a manifest names', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    expect(await (await fixture.open()).check({ readData: 'all', decrypt: true })).toMatchObject({
      ok: true,
      findings: [],
    });
  });

  it('reports a damaged pack once, with the snapshot', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    const store = await copyToMemory(fixture.store);
    const [key] = [...store.objects.keys()].filter((one) => one.startsWith('packs/'));
    store.objects.set(key!, flipBit(store.objects.get(key!)!, 80_000));
    const { findings } = await (await fixture.open({}, store)).check({ readData: 'all', decrypt: true });
    expect(findings.map(({ object, snapshots }) => [object, snapshots])).toEqual([[key, [entry.id]]]);
  });
});

async function check(fixture: Fixture, store: ObjectStore, options: CheckOptions = { readData: 'all' }) {
  return (
    await fixture.open({ identities: [], hostKeyFile: undefined, adminKeyFile: undefined }, store)
  ).check(options);
}
