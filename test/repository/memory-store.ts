import { LifeboatError } from '../../src/core/errors.ts';
import type { ObjectStat, ObjectStore } from '../../src/storage/port.ts';

export interface MemoryStore extends ObjectStore {
  readonly objects: Map<string, Uint8Array>;
}

/** For tests that open a damaged repository some thousand times. */
export function createMemoryStore(objects = new Map<string, Uint8Array>()): MemoryStore {
  return {
    objects,
    location: 'memory',
    capabilities: { createOnly: 'link', objectLock: false, versioning: false },
    async put(key, body) {
      if (objects.has(key)) return 'exists';
      objects.set(key, Uint8Array.from(body));
      return 'created';
    },
    async get(key, range) {
      const bytes = objects.get(key);
      if (bytes === undefined) throw new LifeboatError('object-missing', `there is no object ${key}`);
      return Buffer.from(
        range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length),
      );
    },
    async stat(key) {
      const bytes = objects.get(key);
      return bytes === undefined ? undefined : { key, sizeBytes: bytes.length, modified: new Date(0) };
    },
    async *list(prefix) {
      for (const [key, bytes] of objects)
        if (key.startsWith(prefix)) yield { key, sizeBytes: bytes.length, modified: new Date(0) };
    },
    async delete(key) {
      objects.delete(key);
    },
  };
}

export async function copyToMemory(store: ObjectStore): Promise<MemoryStore> {
  const objects = new Map<string, Uint8Array>();
  for await (const { key } of store.list('')) objects.set(key, await store.get(key));
  return createMemoryStore(objects);
}

/** The same store, but something happens around a put. */
export function aroundPut(
  store: ObjectStore,
  around: (key: string, put: () => Promise<'created' | 'exists'>) => Promise<'created' | 'exists'>,
): ObjectStore {
  return { ...store, put: (key, body) => around(key, () => store.put(key, body)) };
}

export function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  return flipped;
}

export async function listAll(store: ObjectStore, prefix = ''): Promise<ObjectStat[]> {
  const objects: ObjectStat[] = [];
  for await (const stat of store.list(prefix)) objects.push(stat);
  return objects;
}
