import { z } from '../config/zod.ts';
import { messageOf } from '../core/errors.ts';
import type { ObjectStore } from '../storage/port.ts';
import { compressText, decompressText } from './zstd-text.ts';
import { damagedObject, getNamed, putNamed, type PutResult } from './objects.ts';

/**
 * `refs/<sha256>.json.zst`: plain lists of every object that a snapshot needs, with sizes, so that prune and check work
 * without any key, and a log record stays small. The snapshot's id makes every list unique: a list that prune deletes is
 * never written again by a later snapshot of the same packs.
 */
const LONGEST_LIST = 4096;
/** A row is about 90 bytes. */
const LIMIT_BYTES = 4 * 1024 * 1024;

const schema = z.strictObject({
  v: z.literal(1),
  snapshot: z.string(),
  objects: z.array(z.tuple([z.string(), z.int().nonnegative()])).max(LONGEST_LIST),
});

/** Object key -> size in bytes. */
export type ObjectSizes = ReadonlyMap<string, number>;

export async function putRefs(
  store: ObjectStore,
  snapshotId: string,
  objects: ObjectSizes,
): Promise<PutResult[]> {
  const rows = [...objects].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const results: PutResult[] = [];
  for (let at = 0; at < rows.length; at += LONGEST_LIST) {
    const list: z.infer<typeof schema> = {
      v: 1,
      snapshot: snapshotId,
      objects: rows.slice(at, at + LONGEST_LIST),
    };
    results.push(await putNamed(store, 'refs', await compressText(JSON.stringify(list))));
  }
  return results;
}

/** Errors: `repository-damaged`. */
export async function readRefs(store: ObjectStore, key: string): Promise<ObjectSizes> {
  const bytes = await getNamed(store, key);
  try {
    return new Map(schema.parse(JSON.parse(await decompressText(bytes, LIMIT_BYTES))).objects);
  } catch (error) {
    throw damagedObject(key, `it is not a list of objects (${messageOf(error)})`, error);
  }
}
