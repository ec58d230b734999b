import type { BucketReader } from '../storage/bucket.ts';
import { createBucketFiles } from './bucket-files.ts';
import { openMediaDirectory } from './directory.ts';
import { mergeByPath } from './merge.ts';
import { orphansAmong } from './reconcile.ts';
import type { MediaSource } from './source.ts';
import { walk } from './walk.ts';

/** Requests to the bucket at a time. */
const AT_ONCE = 8;

/** A directory alone. Errors: `media-unreadable`. */
export async function openDirectorySource(path: string): Promise<MediaSource> {
  const directory = await openMediaDirectory(path);
  return {
    ...directory,
    description: `the media directory ${path}`,
    atOnce: 1,
    close: () => undefined,
  };
}

/**
 * A directory together with a bucket that has more, or fewer, of the same files: what a storage provider of Synapse leaves.
 * Synapse itself looks into the directory first; so does this. Errors: `media-unreadable`, those of `BucketReader`.
 */
export async function openUnionSource(
  path: string,
  bucket: BucketReader,
  prefix: string,
): Promise<MediaSource> {
  const directory = await openMediaDirectory(path);
  const files = createBucketFiles(bucket, prefix);
  return {
    root: `${directory.root} + ${bucket.location}/${prefix}`,
    description: `the media directory ${path} and the bucket ${bucket.location}/${prefix}`,
    atOnce: AT_ONCE,
    look: (relative) => directory.look(relative) ?? files.look(relative),
    readSmall: (relative, memory) =>
      directory.readSmall(relative, memory) ?? files.readSmall(relative, memory.length),
    readStable: async (relative, consume) =>
      (await directory.readStable(relative, consume)) ?? (await files.readStable(relative, consume)),
    sha256: async (relative) => (await directory.sha256(relative)) ?? (await files.sha256(relative)),
    orphans: (catalogue, classes) =>
      orphansAmong(catalogue, mergeByPath(walk(directory.root, classes), files.walk(classes)), classes),
    close: () => bucket.close(),
  };
}
