import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repairSnapshots } from '../../src/jobs/repair-snapshots.ts';
import { silent } from '../../src/observe/index.ts';
import type { CheckFinding } from '../../src/repository/port.ts';
import { brokenSnapshots, reasonToForget } from '../../src/repository/repair-snapshots.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { backUp, makeRepository, readBack, sampleSource, type Fixture } from './fixture.ts';
import { copyToMemory, flipBit, listAll, type MemoryStore } from './memory-store.ts';

const APPLY = { dryRun: false };
const ALL = { readData: 'all', decrypt: true } as const;

function keysOf({ objects }: MemoryStore, prefix: string): string[] {
  return [...objects.keys()].filter((key) => key.startsWith(prefix));
}

async function bytesStored(store: ObjectStore): Promise<number> {
  return (await listAll(store)).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Two snapshots of a source with a file that was cut, and a copy of the store to be damaged. */
async function damageable(fixture: Fixture) {
  const source = sampleSource();
  const large = { ...source, media: { ...source.media, 'local_content/ff/large': randomBytes(9 << 20) } };
  const { entry: first } = await backUp(await fixture.open(), sampleSource('other'));
  const { entry } = await backUp(await fixture.open(), large);
  return { source: large, first, entry, store: await copyToMemory(fixture.store) };
}

describe('repair index', () => {
  it.each<[string, (store: MemoryStore, key: string) => unknown]>([
    ['missing', (store, key) => store.objects.delete(key)],
    ['damaged', (store, key) => store.objects.set(key, flipBit(store.objects.get(key)!, 999))],
  ])('a backup after it stores nothing again, although the index was %s', async (_what, damage) => {
    await using fixture = await makeRepository();
    const { source, store } = await damageable(fixture);
    for (const key of keysOf(store, 'index/')) damage(store, key);

    const costly = await copyToMemory(store);
    expect(
      (
        await backUp(
          await fixture.open({ stateDirectory: join(fixture.directory, 'elsewhere') }, costly),
          source,
        )
      ).newPacks,
    ).toBeGreaterThan(2);

    const packs = keysOf(store, 'packs/').length;
    const repository = await fixture.open({}, store);
    const repaired = await repository.repairIndex(APPLY);
    expect(repaired).toMatchObject({ packs, undescribedPacks: packs, damagedPacks: [] });
    expect(repaired.newSegments).toBeGreaterThan(0);
    const before = await bytesStored(store);
    const manifests = keysOf(store, 'manifests/').length;
    const writer = await (await fixture.open({}, store)).startBackup();
    const { sizeBytes, sha256, blobs } = await fixture.open({}, store).then(async (opened) => {
      for await (const file of opened.mediaFiles('latest')) if (file.sizeBytes > 8 << 20) return file;
      throw new Error('the large file is not there');
    });
    expect(writer.known(sha256, sizeBytes)).toMatchObject({ blobs });
    await writer.abort();
    const again = await backUp(await fixture.open({}, store), source);
    expect(again).toMatchObject({ newPacks: 0, newBlobs: 0 });
    // The root alone is new: the shard of the media list was found again, too.
    expect(keysOf(store, 'manifests/')).toHaveLength(manifests + 1);
    expect((await bytesStored(store)) - before).toBeLessThan(64 * 1024);
    expect(await readBack(await fixture.open({}, store), again.entry.id)).toEqual(source);
    expect((await repository.repairIndex(APPLY)).undescribedPacks).toBe(0);
  });

  it('is a dry run unless told otherwise, which reads no pack and writes nothing', async () => {
    await using fixture = await makeRepository();
    const { store } = await damageable(fixture);
    for (const key of keysOf(store, 'index/')) store.objects.delete(key);
    const keys = [...store.objects.keys()];
    const reading: string[] = [];
    const watched: ObjectStore = {
      ...store,
      get: (key, range) => (reading.push(key), store.get(key, range)),
    };
    const plan = await (await fixture.open({}, watched)).repairIndex({ dryRun: true });
    expect(plan).toMatchObject({ undescribedPacks: keysOf(store, 'packs/').length, newSegments: 0 });
    expect(reading.filter((key) => key.startsWith('packs/'))).toEqual([]);
    expect([...store.objects.keys()]).toEqual(keys);
  });

  it('writes nothing where nothing is missing', async () => {
    await using fixture = await makeRepository();
    const { store } = await damageable(fixture);
    const keys = [...store.objects.keys()];
    expect(await (await fixture.open({}, store)).repairIndex(APPLY)).toMatchObject({
      undescribedPacks: 0,
      damagedSegments: [],
      newSegments: 0,
    });
    expect([...store.objects.keys()]).toEqual(keys);
  });

  it('leaves out a damaged pack and says so, and the next backup stores its contents anew', async () => {
    await using fixture = await makeRepository();
    const { source, store } = await damageable(fixture);
    for (const key of keysOf(store, 'index/')) store.objects.delete(key);
    const size = (key: string) => store.objects.get(key)!.length;
    // With a piece of the large file, which only the second snapshot has.
    const [damaged = ''] = keysOf(store, 'packs/').toSorted((a, b) => size(b) - size(a));
    store.objects.set(damaged, flipBit(store.objects.get(damaged)!, 80_000));
    const result = await (await fixture.open({}, store)).repairIndex(APPLY);
    expect(result.damagedPacks.map(({ key }) => key)).toEqual([damaged]);
    const again = await backUp(await fixture.open({}, store), source);
    expect(again.newPacks).toBeGreaterThan(0);
    expect(again.newPacks).toBeLessThan(keysOf(store, 'packs/').length / 2);
    expect(await readBack(await fixture.open({}, store), again.entry.id)).toEqual(source);
  });

  it('needs an identity', async () => {
    await using fixture = await makeRepository();
    const keyless = await fixture.open({ identities: [] });
    await expect(keyless.repairIndex(APPLY)).rejects.toMatchObject({ code: 'identity-missing' });
  });

  it('describes no pack that a prune is about to delete', async () => {
    await using fixture = await makeRepository();
    const { first, store } = await damageable(fixture);
    const repository = await fixture.open({}, store);
    await repository.forget([first.id], {});
    const stuck = await fixture.open(
      {},
      { ...store, delete: (key) => Promise.reject(new Error(`power failed before ${key}`)) },
    );
    await expect(stuck.prune({ dryRun: false, graceMs: 0 })).rejects.toThrow('power failed');
    for (const key of keysOf(store, 'index/')) store.objects.delete(key);
    const { packs } = await (await fixture.open({}, store)).repairIndex(APPLY);
    expect(packs).toBeLessThan(keysOf(store, 'packs/').length);
    expect(packs).toBeGreaterThan(0);
  });
});

describe('repair snapshots', () => {
  const options = { forget: false, readData: true, allowLarge: false, progress: silent };

  it.each(['packs/', 'manifests/', 'archives/'])(
    'finds the snapshots that lack an object of %s, and forgets them only when told so',
    async (prefix) => {
      await using fixture = await makeRepository();
      const { first, entry, store } = await damageable(fixture);
      const key = keysOf(store, prefix)[0]!;
      store.objects.set(key, flipBit(store.objects.get(key)!, 999));
      const repository = await fixture.open({}, store);
      const found = await repairSnapshots(repository, options);
      expect(found).toMatchObject({ snapshots: 2, forgotten: [] });
      expect(found.broken).toHaveLength(1);
      const [{ id, objects }] = found.broken as [(typeof found.broken)[number]];
      expect(objects.map((object) => object.key)).toEqual([key]);
      expect(await repository.snapshots()).toHaveLength(2);

      const { forgotten } = await repairSnapshots(repository, { ...options, forget: true });
      expect(forgotten).toEqual([id]);
      const left = id === first.id ? entry.id : first.id;
      expect((await repository.snapshots()).map((snapshot) => snapshot.id)).toEqual([left]);
      const record = Buffer.from(store.objects.get('log/0000000004.json')!).toString();
      expect(record).toContain(`cannot be restored whole: ${key}: `);
      await repository.prune({ dryRun: false, graceMs: 0 });
      expect(await repository.check(ALL)).toMatchObject({ ok: true, findings: [] });
    },
  );

  it('finds nothing in a sound repository, and nothing to forget for an index or a key', async () => {
    await using fixture = await makeRepository();
    const { store } = await damageable(fixture);
    const repository = await fixture.open({}, store);
    expect((await repairSnapshots(repository, options)).broken).toEqual([]);
    for (const key of [...keysOf(store, 'index/'), ...keysOf(store, 'keys/')]) store.objects.delete(key);
    expect((await repository.check({ readData: 'none' })).findings.length).toBeGreaterThan(2);
    expect((await repairSnapshots(repository, { ...options, forget: true })).broken).toEqual([]);
  });

  it('forgets none when one of them is pinned', async () => {
    await using fixture = await makeRepository();
    const { first, store } = await damageable(fixture);
    const repository = await fixture.open({}, store);
    await repository.pin(first.id, true);
    for (const key of keysOf(store, 'packs/')) store.objects.delete(key);
    await expect(repairSnapshots(repository, { ...options, forget: true })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('pinned'),
    });
    expect(await repository.snapshots()).toHaveLength(2);
  });

  it('forgets more than a quarter of them only when told so: packs that are not mounted look like this', async () => {
    await using fixture = await makeRepository();
    const { store } = await damageable(fixture);
    for (const name of ['third', 'fourth']) await backUp(await fixture.open({}, store), sampleSource(name));
    const repository = await fixture.open({}, store);
    for (const key of keysOf(store, 'packs/')) store.objects.delete(key);
    await expect(repairSnapshots(repository, { ...options, forget: true })).rejects.toMatchObject({
      code: 'not-confirmed',
      message: '4 of 4 snapshots would be forgotten at once',
    });
    expect(await repository.snapshots()).toHaveLength(4);
    const { forgotten } = await repairSnapshots(repository, { ...options, forget: true, allowLarge: true });
    expect(forgotten).toHaveLength(4);
  });

  it('gives as the reason the first object, and how many more', () => {
    const finding = (object: string): CheckFinding => ({
      severity: 'error',
      object,
      problem: 'it is missing',
      consequence: '',
      snapshots: ['a', 'b'],
    });
    const broken = brokenSnapshots([
      finding('packs/1'),
      finding('index/1'),
      finding('archives/2'),
      finding('packs/3'),
    ]);
    expect(broken.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(reasonToForget(broken[0]!)).toBe(
      'cannot be restored whole: packs/1: it is missing, and 2 more objects',
    );
  });
});
