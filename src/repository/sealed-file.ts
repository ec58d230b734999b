import { isLifeboatError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { damagedObject, getNamed, missingObject } from './objects.ts';
import { PAYLOAD_CHUNK, PAYLOAD_OVERHEAD, payloadShape } from './seal-payload.ts';
import { readHeader, type OpenHeader } from './seal.ts';
import { inWorker } from './worker-pool.ts';

/** An age file in a store, of which any part of the plaintext can be read: it is encrypted in chunks of 64 KiB. */
export interface SealedFile {
  readonly plaintextBytes: number;
  /** The plaintext from chunk `first` up to `end`, which is not in it. Errors: as `openSealedFile`. */
  read(first: number, end: number): Promise<Uint8Array>;
}

const CHUNK = PAYLOAD_CHUNK;
const SEALED_CHUNK = CHUNK + PAYLOAD_OVERHEAD.tag;
/** A header to one recipient has about 200 bytes. */
const FIRST_LOOK = 1024;
const LONGEST_HEADER = 64 * 1024;

/**
 * The hash in the name is of the whole file, and cannot be compared with a part: each chunk has age's own tag instead. When
 * something is wrong, the whole file is read to tell a damaged one from a wrong identity.
 * Errors: `identity-wrong`, `repository-damaged`, those of the store.
 */
export async function openSealedFile(
  store: ObjectStore,
  key: string,
  identities: readonly Secret[],
): Promise<SealedFile> {
  const asWhole = async <T>(task: () => Promise<T>): Promise<T> => {
    try {
      return await task();
    } catch (error) {
      if (isLifeboatError(error, 'object-missing')) throw missingObject(store, key, error);
      if (isLifeboatError(error, 'repository-damaged') || isLifeboatError(error, 'identity-wrong'))
        await getNamed(store, key);
      throw isLifeboatError(error, 'repository-damaged') && error.context.object !== key
        ? damagedObject(key, error.message, error)
        : error;
    }
  };
  return asWhole(async () => {
    const [stat, header] = await Promise.all([store.stat(key), headerOf(store, key, identities)]);
    if (stat === undefined) throw missingObject(store, key);
    const { fileKey, nonce, headerBytes } = header;
    const { chunks, plaintextBytes } = payloadShape(stat.sizeBytes, headerBytes);
    const start = headerBytes + nonce.length;
    const read = async (first: number, end: number): Promise<Uint8Array> => {
      const offset = start + first * SEALED_CHUNK;
      const length = Math.min(start + end * SEALED_CHUNK, stat.sizeBytes) - offset;
      const bytes = await store.get(key, { offset, length });
      if (bytes.length !== length) throw damagedObject(key, 'it became shorter while it was read');
      return (await inWorker({ kind: 'open-part', bytes, fileKey, part: { nonce, first, chunks } })).bytes;
    };
    return { plaintextBytes, read: (first, end) => asWhole(() => read(first, end)) };
  });
}

async function headerOf(store: ObjectStore, key: string, identities: readonly Secret[]): Promise<OpenHeader> {
  const revealed = identities.map((identity) => identity.reveal());
  for (const length of [FIRST_LOOK, LONGEST_HEADER]) {
    const header = await readHeader(await store.get(key, { offset: 0, length }), revealed);
    if (header !== undefined) return header;
  }
  throw damagedObject(key, 'it is not an age file, or cut inside its header');
}
