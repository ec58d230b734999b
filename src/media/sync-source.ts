import type { BucketObject, BucketReader } from '../storage/bucket.ts';
import { createBucketCursor } from './bucket-cursor.ts';
import { pieces } from './bucket-files.ts';
import type { MediaDirectory } from './directory.ts';
import { requireSafePath, type MediaStat } from './regular-file.ts';

/** A file where it can be had from. Its `stamp` is another one when its content may be. */
export type Located = MediaStat & ({ readonly object: BucketObject } | { readonly object?: undefined });

/** What `s3-sync` copies from: objects where the server can copy them, files where it cannot. */
export interface SyncSource {
  /** Ask in the order of paths. `expected`: its size, if it is known. */
  locate(path: string, expected: number | null): Promise<Located | undefined>;
  /** Fails with `media-changed` or `object-missing` when it is replaced or deleted meanwhile. */
  read(path: string, located: Located): AsyncIterable<Uint8Array>;
}

/**
 * Objects win over files that say the same, so that nothing goes over the line; of two sizes the expected one wins. A listing
 * that lacks an object may be older than it.
 */
export function createSyncSource(
  directory: MediaDirectory,
  from: { readonly bucket: BucketReader; readonly prefix: string } | undefined,
): SyncSource {
  const cursor = from && createBucketCursor(from.bucket, from.prefix);
  return {
    locate: async (path, expected) => {
      requireSafePath(path);
      const object = from && (await cursor!.find(from.prefix + path));
      const fits = (size: number) => expected === null || size === expected;
      if (object !== undefined && fits(object.sizeBytes)) return ofObject(object);
      const file = directory.look(path);
      if (file !== undefined && (object === undefined || fits(file.sizeBytes))) return file;
      const found = object ?? (await from?.bucket.head(from.prefix + path));
      return found && ofObject(found);
    },
    read: (path, { object }) => (object === undefined ? directory.read(path) : pieces(from!.bucket, object)),
  };
}

function ofObject(object: BucketObject): Located {
  const { sizeBytes, etag, modified } = object;
  return { sizeBytes, stamp: `s3:${sizeBytes}:${etag}`, changedMs: modified.getTime(), object };
}
