import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { blobId } from './blob-id.ts';
import { damagedObject, getSealed } from './objects.ts';
import { readBlob, scanPack, type PackEntry } from './pack.ts';

/** Decrypted packs in memory: 40 MiB each at most, and a restore reads mostly in the order of writing. */
const CAPACITY = 4;

export interface PackCache {
  /** Errors: `repository-damaged`, naming pack and blob; `identity-wrong`. */
  blob(packKey: string, id: string): Promise<Uint8Array>;
  /** True when the id was made from this SHA-256: `blob` then verifies the hash, too. */
  isIdOf(id: string, sha256: string): boolean;
}

interface OpenPack {
  readonly plaintext: Uint8Array;
  readonly entries: ReadonlyMap<string, PackEntry>;
}

export function createPackCache(
  store: ObjectStore,
  identities: readonly Secret[],
  idKey: Uint8Array,
): PackCache {
  /** In order of use: the first is the one that was not used for the longest time. */
  const packs = new Map<string, Promise<OpenPack>>();

  const open = async (key: string): Promise<OpenPack> => {
    const plaintext = await getSealed(store, key, identities);
    return { plaintext, entries: new Map(scanPack(plaintext).map((entry) => [entry.id, entry])) };
  };

  const use = (key: string): Promise<OpenPack> => {
    const pack = packs.get(key) ?? open(key);
    packs.delete(key);
    packs.set(key, pack);
    pack.catch(() => packs.delete(key));
    if (packs.size > CAPACITY) packs.delete(packs.keys().next().value!);
    return pack;
  };

  return {
    async blob(key, id) {
      const { plaintext, entries } = await use(key);
      const entry = entries.get(id);
      if (entry === undefined) throw damagedObject(key, `it does not hold blob ${id}`);
      return readBlob(plaintext, entry, idKey);
    },
    isIdOf: (id, sha256) => id === blobId(idKey, sha256),
  };
}
