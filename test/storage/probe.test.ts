import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../src/core/errors.ts';
import type { ObjectStore, StoreFeatures } from '../../src/storage/port.ts';
import { featureFindings } from '../../src/storage/probe/features.ts';
import { probe } from '../../src/storage/probe/probe.ts';
import { createMemoryStore, listAll } from '../repository/memory-store.ts';

/** Whose clock is right. */
function soundStore(): ObjectStore {
  const memory = createMemoryStore();
  const stat: ObjectStore['stat'] = async (key) => {
    const found = await memory.stat(key);
    return found && { ...found, modified: new Date() };
  };
  return { ...memory, stat };
}

async function resultsOf(store: ObjectStore, another = store): Promise<Record<string, string>> {
  const { findings } = await probe(store, another);
  return Object.fromEntries(findings.map(({ title, result }) => [title, result]));
}

const denied = () => Promise.reject(new LifeboatError('store-denied', 'access was denied'));

describe('a probe', () => {
  it('finds a sound store sound, and leaves nothing behind of its own, and everything else', async () => {
    const store = soundStore();
    await store.put('lifeboat.json', Buffer.from('kept'));
    const { findings, left } = await probe(store, store);
    expect(findings.filter(({ result }) => result !== 'ok')).toEqual([]);
    expect(findings.length).toBeGreaterThan(8);
    expect(left).toBe(0);
    expect((await listAll(store)).map(({ key }) => key)).toEqual(['lifeboat.json']);
  });

  it.each<[string, string, (store: ObjectStore) => Partial<ObjectStore>]>([
    [
      'replaces objects',
      'create only',
      (store) => ({ put: async (key, body) => (await store.delete(key), store.put(key, body)) }),
    ],
    [
      'tells every writer that it won',
      '16 writers at once',
      (store) => ({ put: async (key, body) => (await store.put(key, body), 'created' as const) }),
    ],
    [
      'gives back other bytes',
      'write and read',
      (store) => ({ get: async (key, range) => (await store.get(key, range)).map((byte) => byte ^ 1) }),
    ],
    ['ignores ranges', 'parts of objects', (store) => ({ get: (key) => store.get(key) })],
    [
      'cuts listings short',
      'list',
      (store) => ({
        list: async function* (prefix) {
          let count = 0;
          for await (const stat of store.list(prefix)) if ((count += 1) <= 1000) yield stat;
        },
      }),
    ],
    ['lists late', 'read after write', () => ({ list: async function* () {} })],
    [
      'answers empty for what is missing',
      'what is missing',
      (store) => ({ get: (key, range) => store.get(key, range).catch(() => new Uint8Array()) }),
    ],
  ])('of a store that %s says so by: %s', async (_what, title, change) => {
    const store = soundStore();
    expect((await resultsOf({ ...store, ...change(store) }))[title]).toBe('failed');
  });

  it('says of credentials that may not delete what they cannot do, and what is left', async () => {
    const store = soundStore();
    const { findings, left, prefix } = await probe({ ...store, delete: denied }, store);
    expect(findings.filter(({ result }) => result !== 'ok')).toMatchObject([
      {
        title: 'delete',
        result: 'absent',
        meaning: expect.stringContaining('prune must run with credentials'),
      },
    ]);
    expect(left).toBe((await listAll(store, prefix)).length);
    expect(left).toBeGreaterThan(1000);
  });

  it('notices a clock that is off', async () => {
    const store = soundStore();
    const late: ObjectStore['stat'] = async (key) => {
      const stat = await store.stat(key);
      return stat && { ...stat, modified: new Date(Date.now() - 3_600_000) };
    };
    const { findings } = await probe({ ...store, stat: late }, store);
    expect(findings.filter(({ result }) => result !== 'ok')).toMatchObject([
      { title: 'clock', observed: expect.stringMatching(/^the store is (1h|59m).* behind$/) },
    ]);
  });

  it('of a place that takes nothing, or breaks off, ends with that error, and cleans up what it can', async () => {
    const store = soundStore();
    await expect(probe({ ...store, put: denied }, store)).rejects.toMatchObject({ code: 'store-denied' });
    let puts = 0;
    const breaking: ObjectStore = {
      ...store,
      put: (key, body) =>
        (puts += 1) > 20
          ? Promise.reject(new LifeboatError('store-unreachable', 'the line is down'))
          : store.put(key, body),
    };
    await expect(probe(breaking, breaking)).rejects.toMatchObject({ code: 'store-unreachable' });
    expect(await listAll(store)).toEqual([]);
  });

  it('is interrupted between two cases, and cleans up', async () => {
    const store = soundStore();
    const stop = new AbortController();
    const onCase = (title: string) => title === 'create only' && stop.abort();
    await expect(probe(store, store, { signal: stop.signal, onCase })).rejects.toMatchObject({
      code: 'interrupted',
    });
    expect(await listAll(store)).toEqual([]);
  });

  it('writes few objects where the place would keep them for days', async () => {
    const store = soundStore();
    let puts = 0;
    const counting: ObjectStore = {
      ...store,
      put: (key, body) => ((puts += 1), store.put(key, body)),
      examine: async () => ({ checksums: true, objectLock: 'on', defaultLockDays: 30, versioning: true }),
    };
    await probe(counting, counting);
    expect(puts).toBeLessThan(80);
  });
});

describe('what a bucket says of itself', () => {
  const all: StoreFeatures = {
    checksums: true,
    objectLock: 'on',
    defaultLockDays: undefined,
    versioning: true,
  };
  const lockOf = (features: Partial<StoreFeatures>, days?: number) =>
    featureFindings({ ...all, ...features }, days).find(({ title }) => title === 'Object Lock')!;

  it('is a failure only where lifeboat.yaml asks for Object Lock that is not there', () => {
    expect(lockOf({ objectLock: 'off' }, 30)).toMatchObject({ result: 'failed' });
    expect(lockOf({ objectLock: 'off' })).toMatchObject({ result: 'absent' });
    expect(lockOf({ objectLock: 'unknown' }, 30)).toMatchObject({ result: 'unknown' });
    expect(lockOf({}, 30)).toMatchObject({ result: 'ok', observed: expect.stringContaining('30 days') });
    expect(lockOf({ defaultLockDays: 5 }).observed).toContain('5 days');
  });

  it('is nothing of a store that is no bucket', () => {
    expect(featureFindings(undefined, undefined)).toEqual([]);
  });
});
