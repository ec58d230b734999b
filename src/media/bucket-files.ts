import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import type { BucketObject, BucketReader } from '../storage/bucket.ts';
import { createBucketCursor } from './bucket-cursor.ts';
import type { StableRead } from './directory.ts';
import { requireSafePath, type MediaStat } from './regular-file.ts';
import { comparePaths, type WalkedEntry } from './walk.ts';

/** The files of a media store that lie in a bucket: the key of each is the prefix and its path. */
export interface BucketFiles {
  look(path: string): Promise<MediaStat | undefined>;
  /** Undefined when there is none, `too large` when it has more than `most` bytes. */
  readSmall(path: string, most: number): Promise<StableRead<Uint8Array> | 'too large' | undefined>;
  readStable<T>(
    path: string,
    consume: (source: Readable, file: MediaStat) => Promise<T>,
  ): Promise<StableRead<T> | undefined>;
  sha256(path: string): Promise<string | undefined>;
  /** Everything below these folders, in path order. */
  walk(folders: readonly string[]): AsyncIterable<WalkedEntry>;
}

/** Larger objects come in pieces, each asked for on its own: what breaks off costs one piece, and memory is one piece. */
const PIECE_BYTES = 8 * 1024 * 1024;

/** `prefix`: as in the homeserver's configuration, with the slash at its end if there is to be one. */
export function createBucketFiles(bucket: BucketReader, prefix: string): BucketFiles {
  const cursor = createBucketCursor(bucket, prefix);
  const keyOf = (path: string): string => {
    requireSafePath(path);
    return prefix + path;
  };
  /** The listing may be older than the object. */
  const find = async (path: string): Promise<BucketObject | undefined> =>
    (await cursor.find(keyOf(path))) ?? (await bucket.head(keyOf(path)));

  const whole = async (object: BucketObject): Promise<Uint8Array | undefined> => {
    const bytes = await bucket.get(object.key, { etag: object.etag });
    if (bytes === 'changed') throw changed(object.key);
    return bytes;
  };

  const attempt = async <T>(
    path: string,
    act: (object: BucketObject) => Promise<T | undefined>,
  ): Promise<StableRead<T> | undefined> => {
    const found = await find(path);
    if (found === undefined) return undefined;
    try {
      const value = await act(found);
      return value === undefined ? undefined : { ...statOf(found), changed: false, value };
    } catch (error) {
      if (!isLifeboatError(error, 'media-changed')) throw error;
      const now = await bucket.head(found.key);
      const value = now && (await act(now));
      return now && value !== undefined ? { ...statOf(now), changed: true, value } : undefined;
    }
  };

  return {
    look: async (path) => {
      const found = await cursor.find(keyOf(path));
      return found && statOf(found);
    },
    readSmall: async (path, most) => {
      const read = await attempt<Uint8Array | 'too large'>(path, async (object) =>
        object.sizeBytes > most ? 'too large' : await whole(object),
      );
      return read?.value === 'too large' ? 'too large' : (read as StableRead<Uint8Array> | undefined);
    },
    readStable: async (path, consume) =>
      await attempt(path, async (object) => {
        const source = Readable.from(pieces(bucket, object), { objectMode: false });
        try {
          return await consume(source, statOf(object));
        } catch (error) {
          if (isLifeboatError(error, 'object-missing')) return undefined;
          throw error;
        } finally {
          source.destroy();
        }
      }),
    sha256: async (path) => {
      const object = await find(path);
      if (object === undefined) return undefined;
      const hash = createHash('sha256');
      for await (const piece of pieces(bucket, object)) hash.update(piece);
      return hash.digest('hex');
    },
    walk: async function* (folders) {
      for (const folder of folders.toSorted(comparePaths)) {
        for await (const { key } of bucket.list(`${prefix}${folder}/`))
          yield { path: key.slice(prefix.length), kind: 'file' };
      }
    },
  };
}

/** Fails with `media-changed` or `object-missing` when it is replaced or deleted meanwhile. */
export async function* pieces(
  bucket: BucketReader,
  { key, sizeBytes, etag }: BucketObject,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
    const range = { offset, length: Math.min(PIECE_BYTES, sizeBytes - offset) };
    const piece = await bucket.get(key, { range, etag });
    if (piece === 'changed') throw changed(key);
    if (piece === undefined)
      throw new LifeboatError('object-missing', `${key} was deleted while it was read`);
    yield piece;
  }
}

function statOf({ sizeBytes, etag, modified }: BucketObject): MediaStat {
  return { sizeBytes, stamp: `s3:${sizeBytes}:${etag}`, changedMs: modified.getTime() };
}

function changed(key: string): LifeboatError {
  return new LifeboatError('media-changed', `${key} changed while it was read`, {
    hint: 'Media do not change once they are uploaded: see what else writes into the bucket.',
  });
}
