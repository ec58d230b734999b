import { mkdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { eachConcurrently } from '../core/each-concurrently.ts';
import { createPublisher } from './publish.ts';
import { stageFile, type NewMediaFile } from './stage.ts';

export type { NewMediaFile } from './stage.ts';

/** A media store that is being written. */
export interface MediaRoot {
  /** Real path. */
  readonly path: string;
  /** All that was written is on the disk, with its names, when a write resolves; not for a drill's throw-away copy. */
  readonly durable: boolean;
  /** For files that have no name yet; nobody else writes there. */
  readonly staging: string;
  /** Folders seen to be real directories; bounded. */
  readonly folders: Set<string>;
}

/** Where a file that is being restored takes its content from. */
export interface MediaContent {
  open(): Readable;
  /** All of it, compared with `sha256` already; undefined when it is to be had in pieces only. */
  whole?(): Promise<Uint8Array | undefined>;
}

export async function createMediaRoot(
  path: string,
  options: { readonly durable?: boolean } = {},
): Promise<MediaRoot> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const real = await realpath(path);
  return { path: real, staging: join(real, STAGING), durable: options.durable ?? false, folders: new Set() };
}

/** Below the root, so that a file gets its name by a link. What a restore that was killed has left there is removed. */
const STAGING = '.lifeboat-restore';
/** While one pack is waited for, files of others are written. */
const FILES_AT_ONCE = 8;

/**
 * Writes files below the root. Each is there wholly or not at all; one that is there already with the same content is left
 * alone, so that a restore can be repeated after a crash. `onDone` after each, when it has its name.
 * Errors: `archive-unsafe` (leads out of the root), `content-damaged` (not the size or hash promised), `target-not-empty`
 * (another content is there), `disk-full`, `file-unwritable`, and those of the source.
 */
export async function writeMediaFiles(
  root: MediaRoot,
  files: AsyncIterable<NewMediaFile & MediaContent> | Iterable<NewMediaFile & MediaContent>,
  options: { onDone(sizeBytes: number): void; signal?: AbortSignal | undefined },
): Promise<void> {
  const { onDone, signal } = options;
  await rm(root.staging, { recursive: true, force: true });
  await mkdir(root.staging, { mode: 0o700 });
  const publisher = createPublisher(root, ({ sizeBytes }) => onDone(sizeBytes));
  try {
    await eachConcurrently(files, FILES_AT_ONCE, async (file) => {
      signal?.throwIfAborted();
      await publisher.add(await stageFile(root, file, file));
    });
    await publisher.finish();
  } catch (error) {
    publisher.discard();
    throw error;
  } finally {
    await rm(root.staging, { recursive: true, force: true });
  }
}
