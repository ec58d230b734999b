import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../src/core/errors.ts';
import { logKey, sha256Hex } from '../../src/repository/object-names.ts';
import { replicate } from '../../src/repository/replicate.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { backUp, makeRepository, readBack, sampleSource } from './fixture.ts';
import { aroundPut, copyToMemory, createMemoryStore, flipBit, listAll } from './memory-store.ts';

const NOW = { dryRun: false, graceMs: 0 };

/** Key -> hash: short enough for the message of a failed comparison. */
async function contents(store: ObjectStore): Promise<Record<string, string>> {
  const { objects } = await copyToMemory(store);
  const keys = [...objects.keys()].toSorted();
  return Object.fromEntries(keys.map((key) => [key, sha256Hex(objects.get(key)!)]));
}

describe('a copy of a repository', () => {
  it('is the same, object by object, and opens with the same keys', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    const { entry } = await backUp(await fixture.open(), source);
    const copy = createMemoryStore();
    const result = await replicate(fixture.store, copy);
    expect(await contents(copy)).toEqual(await contents(fixture.store));
    expect(result).toMatchObject({ records: 2, deletedObjects: 0 });
    expect(await readBack(await fixture.open({}, copy), entry.id)).toEqual(source);
  });

  it('gets only what is new', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    await backUp(repository, sampleSource('first'));
    const copy = createMemoryStore();
    const first = await replicate(fixture.store, copy);
    expect(await replicate(fixture.store, copy)).toEqual({ ...first, copiedObjects: 0, copiedBytes: 0 });
    const { newPacks } = await backUp(repository, sampleSource('second'));
    const second = await replicate(fixture.store, copy);
    expect(second.copiedObjects).toBeLessThan(first.copiedObjects + newPacks);
    expect(second.records).toBe(3);
    expect(await contents(copy)).toEqual(await contents(fixture.store));
  });

  it('lets go what prune has deleted, and nothing that no mark names', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const { entry: gone } = await backUp(repository, sampleSource('gone'));
    await backUp(repository, sampleSource('kept'));
    const copy = createMemoryStore();
    await replicate(fixture.store, copy);
    const stranger = `packs/ab/${'ab'.repeat(32)}.age`;
    await copy.put(stranger, Buffer.from('a backup on its way'));
    await repository.forget([gone.id], {});
    const { deletedObjects } = await repository.prune(NOW);
    expect(await replicate(fixture.store, copy)).toMatchObject({ deletedObjects, keptObjects: 0 });
    expect(copy.objects.delete(stranger)).toBe(true);
    expect(await contents(copy)).toEqual(await contents(fixture.store));
  });

  it('keeps what its store does not let go, and says how much', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const { entry } = await backUp(repository, sampleSource());
    const memory = createMemoryStore();
    const refuse = () => Promise.reject(new LifeboatError('file-unwritable', 'access denied'));
    const copy = { ...memory, delete: refuse };
    await replicate(fixture.store, copy);
    await repository.forget([entry.id], {});
    const { deletedObjects } = await repository.prune(NOW);
    expect(await replicate(fixture.store, copy)).toMatchObject({
      deletedObjects: 0,
      keptObjects: deletedObjects,
    });
  });

  it('shows no snapshot before all of it is there, wherever it is interrupted, and goes on', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    const { entry } = await backUp(await fixture.open(), source);
    const { size: total } = (await copyToMemory(fixture.store)).objects;
    for (let room = 0; room < total; room += 1) {
      const memory = createMemoryStore();
      let left = room;
      const copy = aroundPut(memory, async (_key, put) => {
        if (left-- > 0) return await put();
        throw new LifeboatError('disk-full', 'no space left');
      });
      await expect(replicate(fixture.store, copy)).rejects.toThrow('no space left');
      expect(memory.objects.has(logKey(2))).toBe(false);
      await replicate(fixture.store, memory);
      expect(memory.objects.size).toBe(total);
    }
    const copy = createMemoryStore();
    await replicate(fixture.store, copy);
    expect(await readBack(await fixture.open({}, copy), entry.id)).toEqual(source);
  });

  it('does not take over damage', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const damaged = await copyToMemory(fixture.store);
    const [pack] = (await listAll(damaged, 'packs/')).map(({ key }) => key);
    damaged.objects.set(pack!, flipBit(damaged.objects.get(pack!)!, 4000));
    const copy = createMemoryStore();
    await expect(replicate(damaged, copy)).rejects.toMatchObject({
      code: 'repository-damaged',
      message: expect.stringContaining(pack!),
    });
    expect(copy.objects.has(pack!)).toBe(false);
    expect(copy.objects.has(logKey(1))).toBe(false);
  });

  it('is refused where another repository lies, and where the log went another way', async () => {
    await using fixture = await makeRepository();
    await using other = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    await expect(replicate(fixture.store, other.store)).rejects.toMatchObject({ code: 'copy-diverged' });

    const copy = createMemoryStore();
    await replicate(fixture.store, copy);
    const astray = await fixture.open({ stateDirectory: `${fixture.directory}/elsewhere` }, copy);
    await backUp(astray, sampleSource('astray'));
    await expect(replicate(fixture.store, copy)).rejects.toThrow(/its log has 3 records/);
    await backUp(await fixture.open(), sampleSource('straight'));
    await expect(replicate(fixture.store, copy)).rejects.toThrow(/log records 3 differ/);
  });

  it('of a place without a repository is none', async () => {
    await expect(replicate(createMemoryStore(), createMemoryStore())).rejects.toMatchObject({
      code: 'repository-missing',
    });
  });
});
