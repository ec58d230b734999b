import { createHash } from 'node:crypto';
import { LifeboatError } from '../core/errors.ts';
import type { Bucket, BucketObject, BucketReader, WrittenObject } from '../storage/bucket.ts';
import { createBucketCursor } from './bucket-cursor.ts';
import { pieces } from './bucket-files.ts';
import type { CatalogueRow } from './port.ts';
import type { Located, SyncSource } from './sync-source.ts';

/** A copy, as it lies in the target bucket. */
export interface Copied {
  /** Below the prefix of the target: the path, or, where that name has another content, the path and a hash. */
  readonly key: string;
  readonly sizeBytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly etag: string;
  /** In a bucket that keeps versions. */
  readonly versionId?: string | undefined;
}

export interface SyncEnds {
  readonly source: SyncSource;
  readonly target: Bucket;
  /** With its slash. */
  readonly prefix: string;
  /** Bucket that the target's server can copy from by itself; undefined: all goes through this machine. */
  readonly serverSideFrom: string | undefined;
}

/** In one PutObject; larger ones in parts. */
const WHOLE_BYTES = 8 * 1024 * 1024;
/** What CopyObject takes. */
const COPY_BYTES = 5 * 1024 ** 3;

export interface Synced {
  readonly copied: Copied;
  /** Undefined: there is no such file any more, but its copy. */
  readonly located: Located | undefined;
}

export interface BucketSync {
  /** `earlier`: what the last run has copied from `stamp`. In the order of paths. Undefined: there is no file. */
  sync(
    row: Pick<CatalogueRow, 'path' | 'sizeBytes' | 'sha256'>,
    earlier: (Copied & { readonly stamp: string }) | undefined,
  ): Promise<Synced | undefined>;
}

/** Copies what is not there yet; never replaces, never deletes. Errors: those of `Bucket` and of the source. */
export function createBucketSync({ source, target, prefix, serverSideFrom }: SyncEnds): BucketSync {
  const cursor = createBucketCursor(target, prefix);

  const sync: BucketSync['sync'] = async (row, earlier) => {
    const located = await source.locate(row.path, row.sizeBytes);
    // Also of a file that is gone, so that look-ups stay in order.
    const there = await cursor.find(prefix + (earlier?.key ?? row.path));
    // Left out, the last copy would be forgotten with the snapshots that name it.
    if (located === undefined) return await copiedBefore(row, earlier, there);
    const unchanged =
      earlier !== undefined &&
      earlier.stamp === located.stamp &&
      there?.etag === earlier.etag &&
      there.sizeBytes === earlier.sizeBytes;
    if (unchanged) {
      const { stamp: _, ...copied } = earlier;
      return { copied, located };
    }
    return { copied: await copyTo(row, located), located };
  };

  const copiedBefore = async (
    { sha256 }: Pick<CatalogueRow, 'sha256'>,
    earlier: (Copied & { readonly stamp: string }) | undefined,
    there: BucketObject | undefined,
  ): Promise<Synced | undefined> => {
    if (there === undefined) return undefined;
    if (earlier?.etag === there.etag) return { copied: earlier, located: undefined };
    const object = await target.head(there.key);
    if (object === undefined || sha256 === null || (await objectHash(target, object)) !== sha256)
      return undefined;
    const { sizeBytes, etag, versionId } = object;
    const key = there.key.slice(prefix.length);
    return { copied: { key, sizeBytes, etag, versionId, sha256 }, located: undefined };
  };

  /** `real`: the hash of the source, where the path itself is taken by another content. */
  const copyTo = async (
    row: Pick<CatalogueRow, 'path' | 'sha256'>,
    located: Located,
    real?: string,
  ): Promise<Copied> => {
    const key = real === undefined ? row.path : `${row.path}.${real.slice(0, 16)}`;
    const existing = await target.head(prefix + key);
    const written = existing === undefined ? await write(key, row.path, located) : 'exists';
    const object = existing ?? (await target.head(prefix + key));
    if (written !== 'exists' && object?.etag === written.etag) {
      // Never what the database says: a copy of a damaged object would be told as good.
      const sha256 = written.sha256 ?? (await objectHash(target, object));
      return { key, sizeBytes: located.sizeBytes, ...written, sha256 };
    }
    const there = object && (await objectHash(target, object));
    const wanted = there === row.sha256 ? row.sha256 : (real ?? (await sourceHash(row.path, located)));
    if (object !== undefined && there === wanted) {
      const { sizeBytes, etag, versionId } = object;
      return { key, sizeBytes, etag, versionId, sha256: wanted };
    }
    if (real !== undefined) throw unfit(`${target.location}/${prefix}${key}`);
    // Older snapshots need what is there. Or it is not there, though it was written: over a delete marker, some servers do so.
    return await copyTo(row, located, wanted);
  };

  const write = async (key: string, path: string, located: Located): Promise<WrittenObject | 'exists'> => {
    const { object, sizeBytes } = located;
    if (object !== undefined && serverSideFrom !== undefined && sizeBytes <= COPY_BYTES) {
      const copied = await target.copy({ ...object, bucket: serverSideFrom }, prefix + key);
      if (copied === 'changed' || copied === undefined) throw changed(path);
      return copied;
    }
    const content = source.read(path, located);
    if (sizeBytes > WHOLE_BYTES) return await target.upload(prefix + key, sizeBytes, content);
    return await target.put(prefix + key, await whole(content));
  };

  const sourceHash = async (path: string, located: Located): Promise<string> => {
    const hash = createHash('sha256');
    for await (const piece of source.read(path, located)) hash.update(piece);
    return hash.digest('hex');
  };
  return { sync };
}

/** As the server keeps it, else read. */
async function objectHash(bucket: BucketReader, object: BucketObject): Promise<string> {
  if (object.sha256 !== undefined) return object.sha256;
  const hash = createHash('sha256');
  for await (const piece of pieces(bucket, object)) hash.update(piece);
  return hash.digest('hex');
}

async function whole(content: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(content));
}

function changed(path: string): LifeboatError {
  return new LifeboatError('media-changed', `${path} changed while it was copied`, {
    hint: 'Run the backup again.',
  });
}

function unfit(object: string): LifeboatError {
  return new LifeboatError('content-damaged', `${object} is not what was written there`, {
    hint: 'See what else writes into the target bucket (only lifeboat may), delete this object, then run the backup again.',
  });
}
