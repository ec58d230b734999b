import { z } from '../config/zod.ts';
import { messageOf } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ObjectStore } from '../storage/port.ts';
import { compressText, decompressText } from './zstd-text.ts';
import { damagedObject, getSealed, putSealed, type PutResult } from './objects.ts';
import type { PackEntry } from './pack.ts';

/**
 * `index/<sha256>.age`: which blobs are in which packs, sealed to the recipients and to the host's index identity, so that a
 * backup knows what is stored though it can read none of it. An index may be lost: it costs only uploads.
 */
const LIMIT_BYTES = 256 * 1024 * 1024;
const hex64 = z.string().length(64);
const size = z.int().nonnegative();

const schema = z.strictObject({
  v: z.literal(1),
  packs: z.array(
    z.strictObject({
      key: z.string(),
      sizeBytes: size,
      /** Blob id, offset of the frame in the tar, stored bytes, bytes when decompressed. */
      blobs: z.array(z.tuple([hex64, size, size, size])),
    }),
  ),
  /** Keyed file id -> blobs, of files that were cut: so that an unchanged one is found by its hash, without being read. */
  files: z.record(hex64, z.array(hex64)),
  /** Keyed id of a media shard's text (which names its packs) -> its object: an unchanged one is shared between snapshots. */
  shards: z.record(hex64, z.strictObject({ key: z.string(), sizeBytes: size })),
});

export type IndexSegment = z.infer<typeof schema>;

export function emptySegment(): IndexSegment {
  return { v: 1, packs: [], files: {}, shards: {} };
}

export function isEmptySegment({ packs, files, shards }: IndexSegment): boolean {
  return packs.length + Object.keys(files).length + Object.keys(shards).length === 0;
}

export function indexRow(entry: PackEntry): IndexSegment['packs'][number]['blobs'][number] {
  return [entry.id, entry.offset, entry.storedBytes, entry.sizeBytes];
}

export async function putIndexSegment(
  store: ObjectStore,
  segment: IndexSegment,
  recipients: readonly string[],
): Promise<PutResult> {
  return await putSealed(store, 'index', await compressText(JSON.stringify(segment)), recipients);
}

/** Errors: `repository-damaged`, `identity-wrong`. */
export async function readIndexSegment(
  store: ObjectStore,
  key: string,
  identities: readonly Secret[],
): Promise<IndexSegment> {
  const plaintext = await getSealed(store, key, identities);
  try {
    return schema.parse(JSON.parse(await decompressText(plaintext, LIMIT_BYTES)));
  } catch (error) {
    throw damagedObject(key, `it is not an index segment (${messageOf(error)})`, error);
  }
}
