import { describe, expect, it } from 'vitest';
import { limited } from '../../src/storage/limited.ts';
import { createMemoryStore } from '../repository/memory-store.ts';

/** A clock that runs only while somebody waits. */
function stoppedClock() {
  let now = 0;
  return { monotonicMs: () => now, wait: async (ms: number) => void (now += ms) };
}

describe('a store with a limit', () => {
  it('takes so many bytes a second, and lets the first through at once', async () => {
    const clock = stoppedClock();
    const store = limited(createMemoryStore(), { upload: 1000, download: undefined }, clock, clock.wait);
    for (const key of ['a', 'b', 'c']) await store.put(key, Buffer.alloc(2000));
    expect(clock.monotonicMs()).toBe(4000);
    await store.get('a');
    expect(clock.monotonicMs()).toBe(4000);
  });

  it('gives so many bytes a second, whole objects and parts', async () => {
    const clock = stoppedClock();
    const store = limited(createMemoryStore(), { upload: undefined, download: 500 }, clock, clock.wait);
    await store.put('a', Buffer.alloc(1000));
    expect(clock.monotonicMs()).toBe(0);
    expect(await store.get('a')).toHaveLength(1000);
    await store.get('a', { offset: 0, length: 250 });
    await store.get('a', { offset: 0, length: 1 });
    expect(clock.monotonicMs()).toBe(2500);
  });

  it('without a limit is the store itself', () => {
    const store = createMemoryStore();
    expect(limited(store, { upload: undefined, download: undefined }, stoppedClock())).toBe(store);
  });
});
