import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../src/core/errors.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { DEFAULT_RETRY, retrying } from '../../src/storage/retrying.ts';
import { createMemoryStore, listAll } from '../repository/memory-store.ts';

/** Fails so often before it works; notes the delays instead of waiting. */
function flaky(failures: number, code: 'store-unreachable' | 'object-missing' = 'store-unreachable') {
  const memory = createMemoryStore(new Map([['a', Buffer.from('abc')]]));
  const delays: number[] = [];
  let left = failures;
  const fail = () => {
    if (left-- > 0) throw new LifeboatError(code, 'no answer');
  };
  const store: ObjectStore = {
    ...memory,
    put: async (key, body) => (fail(), await memory.put(key, body)),
    get: async (key, range) => (fail(), await memory.get(key, range)),
    stat: async (key) => (fail(), await memory.stat(key)),
    delete: async (key) => (fail(), await memory.delete(key)),
    async *list(prefix) {
      for await (const stat of memory.list(prefix)) {
        yield stat;
        fail();
      }
    },
  };
  const hooks = { wait: async (ms: number) => void delays.push(ms), random: () => 1 };
  return { memory, delays, store: retrying(store, DEFAULT_RETRY, hooks) };
}

describe('a store that is out of reach for a while', () => {
  it.each([
    ['put', (store: ObjectStore) => store.put('b', Buffer.from('b')), 'created'],
    ['get', (store: ObjectStore) => store.get('a'), Buffer.from('abc')],
    ['stat', (store: ObjectStore) => store.stat('a'), expect.objectContaining({ sizeBytes: 3 })],
    ['delete', (store: ObjectStore) => store.delete('a'), undefined],
  ])('%s works in the end, after growing delays', async (_name, operation, result) => {
    const { store, delays } = flaky(3);
    expect(await operation(store)).toEqual(result);
    expect(delays).toEqual([500, 1000, 2000]);
  });

  it('is given up after eight attempts and about a minute', async () => {
    const { store, delays } = flaky(8);
    await expect(store.get('a')).rejects.toMatchObject({ code: 'store-unreachable' });
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000]);
  });

  it('is listed once, without an object twice', async () => {
    const { store, memory } = flaky(2);
    for (const key of ['b', 'c', 'd']) memory.objects.set(key, Buffer.from(key));
    expect((await listAll(store)).map(({ key }) => key)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('is not asked again when the error is permanent', async () => {
    const { store, delays } = flaky(1, 'object-missing');
    await expect(store.get('a')).rejects.toMatchObject({ code: 'object-missing' });
    expect(delays).toEqual([]);
  });
});
