import type { Config } from '../../config/index.ts';
import type { Inventory } from '../../homeserver/port.ts';
import type { MediaBucket, MediaCatalogue } from '../../media/port.ts';
import type { Progress } from '../../observe/progress.ts';
import type { MediaComponent } from '../../repository/manifest.ts';
import type { BackupWriter } from '../../repository/port.ts';
import { backUpMedia } from '../backup-media.ts';
import { requireMediaThere } from '../media-presence.ts';
import { syncToBucket } from './s3-sync.ts';
import { mediaBucket, mediaDirectory, openMediaSource } from '../sources.ts';
import { rsyncStrategy } from './rsync.ts';

/**
 * How media are backed up. Whatever it does, it ends in the same rows of the manifest (`writer.addMedia`, in path order, with
 * size and SHA-256), so that verify, drill and restore treat all alike; files outside of the repository have no blobs.
 */
export interface MediaStrategy {
  /** Where the media are read from, for people. */
  readonly source: string;
  /** What it does not back up, though the configuration of the homeserver has it. */
  readonly warnings: readonly string[];
  /** Looks whether the uploads of the database are there at all, before anything is stored. Errors: `media-unreadable`. */
  requireThere(catalogue: MediaCatalogue): Promise<void>;
  /** What it writes outside of the repository is whole and durable when this resolves: the commit comes next. */
  backUp(run: MediaRun): Promise<MediaOutcome>;
  /** SHA-256 in hex of these files at the source, read now; of those that are there. */
  hashes(paths: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

export interface MediaRun {
  readonly catalogue: MediaCatalogue;
  readonly classes: readonly string[];
  readonly writer: BackupWriter;
  readonly repositoryId: string;
  /** Where this machine remembers what it saw (`seen-files.ts`). */
  readonly seenFile: string;
  /** All rows and all files are compared again when that was done so long ago. 0: now. */
  readonly compareEveryMs: number;
  readonly now: Date;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

export interface MediaOutcome {
  readonly component: MediaComponent;
  /** Of those that have no file any more, and are in the snapshot because they had one before: the first of them. */
  readonly gone?: readonly string[];
  /** One sentence each: the snapshot is good, but somebody should know (exit status 3). */
  readonly omissions: readonly string[];
  readonly warnings: readonly string[];
  /** Right before the record of the snapshot: is what lies outside of the repository still there? Errors: `locked`. */
  readonly requireKept?: () => Promise<void>;
}

/** The one of lifeboat.yaml. Connects nowhere. */
export function mediaStrategy(config: Config, inventory: Inventory): MediaStrategy {
  const directory = mediaDirectory(config, inventory);
  const bucket = mediaBucket(config, inventory);
  const ignored = bucket === undefined && inventory.mediaBucket !== undefined;
  const { strategy, rsync, s3Sync } = config.media;
  if (strategy === 'rsync' && rsync !== undefined)
    return rsyncStrategy(rsync, directory, inventory.mediaBucket !== undefined);
  const from =
    bucket === undefined ? directory : `${directory} and the bucket ${bucket.bucket}/${bucket.prefix}`;
  const syncing = strategy === 's3-sync' ? s3Sync : undefined;
  return {
    source: syncing === undefined ? from : `${from}, copied to ${syncing.place}`,
    warnings: ignored ? ['media.s3.ignore: media that lie only in the bucket are not in the backup'] : [],
    requireThere: (catalogue) => requireMediaThere(catalogue, directory, bucket),
    backUp: (run) =>
      syncing === undefined
        ? backUpMedia({ ...run, directory, bucket })
        : syncToBucket(run, { settings: syncing, directory, bucket }),
    hashes: (paths) => hashesAt(paths, directory, bucket),
  };
}

async function hashesAt(
  paths: readonly string[],
  directory: string,
  bucket: MediaBucket | undefined,
): Promise<ReadonlyMap<string, string>> {
  const source = await openMediaSource(directory, bucket);
  try {
    const hashes = new Map<string, string>();
    for (const path of paths) {
      const sha256 = await source.sha256(path);
      if (sha256 !== undefined) hashes.set(path, sha256);
    }
    return hashes;
  } finally {
    source.close();
  }
}
