import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ObjectStat, ObjectStore } from '../../src/storage/port.ts';

// Thousands of cases or child processes: a busy machine is no failure.
vi.setConfig({ testTimeout: 60_000 });

/** A store that is empty, and the means to look at it as another client would. */
export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** A second client of the same place. */
  another(): Promise<ObjectStore>;
  remove(): Promise<void>;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);

async function listed(store: ObjectStore, prefix: string): Promise<ObjectStat[]> {
  const stats: ObjectStat[] = [];
  for await (const stat of store.list(prefix)) stats.push(stat);
  return stats.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await listed(store, prefix)).map((stat) => stat.key);
}

/** What src/storage/port.ts promises. Every store has a test file that calls this. */
export function objectStoreContract(name: string, makeStore: () => Promise<StoreUnderTest>): void {
  describe(`object store: ${name}`, () => {
    let place: StoreUnderTest;
    let store: ObjectStore;

    beforeEach(async () => {
      place = await makeStore();
      store = place.store;
    });

    afterEach(() => place.remove());

    it('says where it is and how it keeps objects from being replaced', () => {
      expect(store.location).not.toBe('');
      expect(store.capabilities.createOnly).not.toBe('none');
    });

    it.each([0, 1, 65_536, 3_000_000])('gives %i bytes back as they were put', async (size) => {
      const body = randomBytes(size);
      expect(await store.put('packs/ab/object.age', body)).toBe('created');
      expect(Buffer.compare(await store.get('packs/ab/object.age'), body)).toBe(0);
      expect(Buffer.compare(await (await place.another()).get('packs/ab/object.age'), body)).toBe(0);
    });

    it('never replaces an object', async () => {
      expect(await store.put('log/0000000001.json', bytes('first'))).toBe('created');
      expect(await store.put('log/0000000001.json', bytes('second'))).toBe('exists');
      expect(await store.put('log/0000000001.json', bytes('first'))).toBe('exists');
      expect(await store.get('log/0000000001.json')).toEqual(bytes('first'));
    });

    it('lets exactly one of sixteen racing callers create an object, and keeps the bytes of that one', async () => {
      const clients = [store, await place.another(), await place.another(), await place.another()];
      for (let round = 0; round < 5; round += 1) {
        const key = `log/000000000${round}.json`;
        const bodies = Array.from({ length: 16 }, (_, i) => bytes(`body of writer ${i} `.repeat(500)));
        const results = await Promise.all(bodies.map((body, i) => clients[i % 4]!.put(key, body)));
        expect(results.filter((result) => result === 'created')).toHaveLength(1);
        expect(Buffer.compare(await store.get(key), bodies[results.indexOf('created')]!)).toBe(0);
      }
    });

    it('shows an object to other readers only when it is whole', async () => {
      const reader = await place.another();
      const body = randomBytes(8 << 20);
      const hash = createHash('sha256').update(body).digest('hex');
      const writing = { done: false };
      const put = store.put('packs/cd/large.age', body).finally(() => {
        writing.done = true;
      });
      while (!writing.done) {
        for (const stat of await listed(reader, 'packs/')) expect(stat.sizeBytes).toBe(body.length);
        const seen = await reader.get('packs/cd/large.age').catch(() => undefined);
        if (seen !== undefined) expect(createHash('sha256').update(seen).digest('hex')).toBe(hash);
      }
      expect(await put).toBe('created');
      expect((await reader.stat('packs/cd/large.age'))?.sizeBytes).toBe(body.length);
    });

    it('reads ranges, cut at the end of the object', async () => {
      await store.put('packs/ab/range.age', bytes('0123456789'));
      const range = (offset: number, length: number) => store.get('packs/ab/range.age', { offset, length });
      expect(await range(0, 4)).toEqual(bytes('0123'));
      expect(await range(3, 4)).toEqual(bytes('3456'));
      expect(await range(8, 100)).toEqual(bytes('89'));
      expect(await range(9, 1)).toEqual(bytes('9'));
      expect(await range(10, 5)).toEqual(bytes(''));
    });

    it('says that an object is missing', async () => {
      await store.put('packs/ab/there.age', bytes('x'));
      for (const key of ['packs/ab/not.age', 'other/not.age', 'packs/ab', 'packs/ab/there.age/below']) {
        expect(await store.stat(key)).toBeUndefined();
        await expect(store.get(key)).rejects.toMatchObject({ code: 'object-missing', transient: false });
        await expect(store.get(key, { offset: 0, length: 1 })).rejects.toMatchObject({
          code: 'object-missing',
        });
      }
    });

    it('knows size and time of an object', async () => {
      await store.put('index/object.age', bytes('12345'));
      const stat = await store.stat('index/object.age');
      expect(stat).toMatchObject({ key: 'index/object.age', sizeBytes: 5 });
      // Wide enough for a store whose clock differs.
      expect(Math.abs(Date.now() - (stat?.modified.getTime() ?? 0))).toBeLessThan(3_600_000);
      expect(await listed(store, 'index/')).toEqual([stat]);
    });

    it('lists what starts with a prefix, at every depth', async () => {
      const keys = [
        'lifeboat.json',
        'log/1',
        'log/2',
        'packs/ab/ab1.age',
        'packs/ab/ab2.age',
        'packs/ac/ac1.age',
        'packs2/x',
      ];
      for (const key of keys) await store.put(key, bytes(key));
      expect(await keysOf(store, '')).toEqual(keys.toSorted());
      expect(await keysOf(store, 'log/')).toEqual(['log/1', 'log/2']);
      expect(await keysOf(store, 'packs/')).toEqual([
        'packs/ab/ab1.age',
        'packs/ab/ab2.age',
        'packs/ac/ac1.age',
      ]);
      expect(await keysOf(store, 'packs/a')).toEqual([
        'packs/ab/ab1.age',
        'packs/ab/ab2.age',
        'packs/ac/ac1.age',
      ]);
      expect(await keysOf(store, 'packs/ab/ab2')).toEqual(['packs/ab/ab2.age']);
      expect(await keysOf(store, 'packs')).toEqual(keys.filter((key) => key.startsWith('packs')).toSorted());
      expect(await keysOf(store, 'nothing/')).toEqual([]);
    });

    it('lists more objects than one page of a bucket holds', async () => {
      const keys = Array.from({ length: 1100 }, (_, i) => `refs/${String(i).padStart(5, '0')}`);
      for (let i = 0; i < keys.length; i += 20) {
        await Promise.all(keys.slice(i, i + 20).map((key) => store.put(key, bytes('x'))));
      }
      expect(await keysOf(store, 'refs/')).toEqual(keys);
    });

    it('deletes an object once, and hears of it twice without complaint', async () => {
      await store.put('packs/ab/a.age', bytes('a'));
      await store.put('packs/ab/b.age', bytes('b'));
      await store.delete('packs/ab/a.age');
      await store.delete('packs/ab/a.age');
      await store.delete('never/there');
      expect(await store.stat('packs/ab/a.age')).toBeUndefined();
      expect(await keysOf(store, 'packs/')).toEqual(['packs/ab/b.age']);
      expect(await store.put('packs/ab/a.age', bytes('again'))).toBe('created');
    });

    it('takes components of 255 bytes and names in any script', async () => {
      for (const key of [`long/${'x'.repeat(255)}`, 'script/Grüße 日本 🚤', 'space/a b+c%20d']) {
        expect(await store.put(key, bytes(key))).toBe('created');
        expect(await store.get(key)).toEqual(bytes(key));
        expect(await keysOf(store, key.slice(0, key.indexOf('/')))).toEqual([key]);
      }
    });

    it.each([
      '',
      '/',
      '/etc/passwd',
      'a//b',
      'a/',
      '.',
      '..',
      '../x',
      'a/../b',
      'a/./b',
      'a\0b',
      `a/${'x'.repeat(256)}`,
    ])('refuses the key %j for every operation', async (key) => {
      const body = bytes('x');
      const calls = [
        () => store.put(key, body),
        () => store.get(key),
        () => store.stat(key),
        () => store.delete(key),
      ];
      for (const call of calls) await expect(call()).rejects.toThrow(RangeError);
      expect(await keysOf(store, '')).toEqual([]);
    });
  });
}
