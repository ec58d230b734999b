import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../src/core/errors.ts';
import { verifySnapshot } from '../../src/jobs/verify.ts';
import { silent } from '../../src/observe/index.ts';
import type { Check } from '../../src/restore/step.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { backUp, makeRepository, sampleSource } from '../repository/fixture.ts';
import { copyToMemory, flipBit, listAll } from '../repository/memory-store.ts';

async function verify(
  alter: (store: ObjectStore, packs: string[]) => ObjectStore,
  signal?: AbortSignal,
): Promise<Check[]> {
  await using fixture = await makeRepository();
  const { entry } = await backUp(await fixture.open(), sampleSource());
  const store = await copyToMemory(fixture.store);
  const packs = (await listAll(store, 'packs/')).map(({ key }) => key);
  const repository = await fixture.open({}, alter(store, packs));
  const checks: Check[] = [];
  for await (const check of verifySnapshot(repository, entry.id, silent, signal)) checks.push(check);
  return checks;
}

describe('verify', () => {
  it('passes what is as it was backed up', async () => {
    const checks = await verify((store) => store);
    expect(checks.map(({ result }) => result)).toEqual(['pass', 'pass', 'pass', 'pass']);
  });

  it('fails for a pack that is damaged', async () => {
    const checks = await verify((store, packs) => ({
      ...store,
      get: async (key, range) => {
        const bytes = await store.get(key, range);
        return packs.includes(key) ? Uint8Array.from(flipBit(bytes, 8000)) : bytes;
      },
    }));
    expect(checks.find(({ id }) => id === 'verify.database')).toMatchObject({ result: 'fail' });
  });

  it('gives no verdict when the disk or the store cannot be read', async () => {
    const unreadable = new LifeboatError('file-unreadable', 'cannot read packs: EIO');
    const verdict = verify((store, packs) => ({
      ...store,
      get: async (key, range) => {
        if (packs.includes(key)) throw unreadable;
        return await store.get(key, range);
      },
    }));
    await expect(verdict).rejects.toMatchObject({ code: 'file-unreadable' });
  });

  it('ends with the blob it reads when it is interrupted, with no verdict', async () => {
    const interruption = new AbortController();
    const verdict = verify(
      (store, packs) => ({
        ...store,
        get: async (key, range) => {
          if (packs.includes(key)) interruption.abort();
          return await store.get(key, range);
        },
      }),
      interruption.signal,
    );
    await expect(verdict).rejects.toMatchObject({ name: 'AbortError' });
  });
});
