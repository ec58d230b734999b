import { describe, expect, it } from 'vitest';
import { backUp, makeRepository, sampleSource } from './fixture.ts';
import { aroundPut } from './memory-store.ts';

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
