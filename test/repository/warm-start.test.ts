import { describe, expect, it } from 'vitest';
import { backUp, makeRepository, sampleSource } from './fixture.ts';
import { aroundPut, copyToMemory, flipBit } from './memory-store.ts';

describe('a backup after a check that found damage', () => {
  it.each(['packs/', 'manifests/'])(
    'stores anew what was in a damaged object of %s, and is sound itself',
    async (prefix) => {
      await using fixture = await makeRepository();
      const source = sampleSource();
      await backUp(await fixture.open(), source);
      const store = await copyToMemory(fixture.store);
      const sound = new Map(store.objects);
      const keys = [...store.objects.keys()].filter((key) => key.startsWith(prefix));
      for (const key of keys) store.objects.set(key, flipBit(store.objects.get(key)!, 999));
      const repository = await fixture.open({}, store);
      await repository.check({ readData: 'all' });
      const { entry } = await backUp(await fixture.open({}, store), source);
      const { findings } = await repository.check({ readData: 'all', decrypt: true });
      expect(findings.map(({ object }) => object).toSorted()).toEqual(keys.toSorted());
      expect(findings.flatMap(({ snapshots }) => snapshots)).not.toContain(entry.id);

      // Put back from a copy, they are leaned on again.
      for (const key of keys) store.objects.set(key, sound.get(key)!);
      await repository.check({ readData: 'all' });
      expect((await backUp(await fixture.open({}, store), source)).newPacks).toBe(0);
    },
  );
});

describe('a backup after one that failed', () => {
  it.each(['log/', 'manifests/', 'refs/'])(
    'stores nothing again that had been stored when writing to %s failed',
    async (prefix) => {
      await using fixture = await makeRepository();
      const source = sampleSource();
      const failing = aroundPut(fixture.store, async (key, put) => {
        if (key.startsWith(prefix)) throw new Error('the disk is full');
        return await put();
      });
      const repository = await fixture.open({}, failing);
      const writer = await repository.startBackup();
      const writing = backUp({ ...repository, startBackup: async () => writer }, source);
      await expect(writing).rejects.toThrow('the disk is full');
      await writer.abort();
      const { newPacks, reusedBlobs } = await backUp(await fixture.open(), source);
      expect(newPacks).toBe(0);
      expect(reusedBlobs).toBeGreaterThan(3);
    },
  );
});
