import { createHash } from 'node:crypto';
import { closeSync, constants } from 'node:fs';
import { access, lstat, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import type { MediaCatalogue } from './port.ts';
import { orphansAmong, reconcile, type Disagreement } from './reconcile.ts';
import {
  contentOf,
  lookAt,
  openRegular,
  unreadable,
  wholeContent,
  type MediaStat,
  type RegularFile,
} from './regular-file.ts';
import { walk } from './walk.ts';

/** A media store on disk. All paths are relative to its root, with `/`; what would lead out of it is refused (`archive-unsafe`). */
export interface MediaDirectory {
  /** Real path. */
  readonly root: string;
  /**
   * With one system call, for a file that is not going to be read; `undefined` when there is none.
   * Errors of this and of all that reads: `media-unreadable`.
   */
  look(path: string): MediaStat | undefined;
  /** The stream fails with `object-missing` when there is no such file, with `media-changed` when it changed meanwhile. */
  read(path: string): Readable;
  /** Hands file and size to `consume`; once more when the file changed meanwhile. `undefined` when it is missing. */
  readStable<T>(
    path: string,
    consume: (source: Readable, file: MediaStat) => Promise<T>,
  ): Promise<StableRead<T> | undefined>;
  /**
   * A file that fits into `memory`, read in one go; once more when it changed meanwhile. `undefined` when it is missing,
   * `too large` when it does not fit.
   */
  readSmall(path: string, memory: Uint8Array): StableRead<Uint8Array> | 'too large' | undefined;
  /** Lower-case hex; `undefined` when it is missing. */
  sha256(path: string): Promise<string | undefined>;
  /** `undefined` when the file is as expected, `missing`, or what is wrong; a null expects nothing. */
  compare(
    path: string,
    expected: { readonly sizeBytes: number | null; readonly sha256: string | null },
  ): Promise<string | undefined>;
  /** All regular files in path order, of these classes (top-level folders) or of all. */
  walk(classes?: readonly string[]): AsyncIterable<MediaStat & { readonly path: string }>;
  reconcile(catalogue: MediaCatalogue, classes: readonly string[]): AsyncIterable<Disagreement>;
  /** Files of these classes that no row names. */
  orphans(catalogue: MediaCatalogue, classes: readonly string[]): AsyncIterable<string>;
}

export interface StableRead<T> extends MediaStat {
  readonly value: T;
  /** The first reading met a change. */
  readonly changed: boolean;
}

/** Errors: `media-unreadable`. */
export async function openMediaDirectory(path: string): Promise<MediaDirectory> {
  const root = await requireDirectory(path);
  return {
    root,
    look: (relative) => lookAt(root, relative),
    read: (relative) => Readable.from(contentAt(root, relative), { objectMode: false }),
    readStable: (relative, consume) => readStable(root, relative, consume),
    readSmall: (relative, memory) => readSmall(root, relative, memory),
    sha256: (relative) => hashFile(root, relative),
    compare: (relative, expected) => compare(root, relative, expected),
    walk: (classes) => walkFiles(root, classes),
    reconcile: (catalogue, classes) => reconcile(catalogue, walk(root, classes), classes),
    orphans: (catalogue, classes) => orphansAmong(catalogue, walk(root, classes), classes),
  };
}

async function requireDirectory(path: string): Promise<string> {
  try {
    const root = await realpath(path);
    await access(root, constants.R_OK | constants.X_OK);
    await requireNoLinkedFolders(root);
    return root;
  } catch (error) {
    if (error instanceof LifeboatError) throw error;
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unreadable(path, error);
    throw new LifeboatError('media-unreadable', `the media directory ${path} does not exist`, {
      hint: 'Correct media_store_path, or name the directory in lifeboat.yaml as media.path.',
      cause: error,
    });
  }
}

/** Found now, with one clear message, instead of at every file below. */
async function requireNoLinkedFolders(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (!(await lstat(join(root, name))).isSymbolicLink()) continue;
    throw new LifeboatError('media-unreadable', `${join(root, name)} is a symbolic link`, {
      hint: 'Use a bind mount instead, so that nothing can lead the backup out of the media directory.',
    });
  }
}

function statFile(root: string, path: string): MediaStat | undefined {
  const file = openRegular(root, path);
  if (file === undefined) return undefined;
  closeSync(file.fd);
  return statOf(file);
}

async function* contentAt(root: string, path: string): AsyncGenerator<Uint8Array> {
  const file = openRegular(root, path);
  if (file === undefined) throw new LifeboatError('object-missing', `${path} is not in the media directory`);
  try {
    yield* contentOf(file);
  } finally {
    closeSync(file.fd);
  }
}

async function readStable<T>(
  root: string,
  path: string,
  consume: (source: Readable, file: MediaStat) => Promise<T>,
): Promise<StableRead<T> | undefined> {
  for (const changed of [false, true]) {
    const file = openRegular(root, path);
    if (file === undefined) return undefined;
    const stat = statOf(file);
    const source = Readable.from(contentOf(file), { objectMode: false });
    try {
      return { ...stat, changed, value: await consume(source, stat) };
    } catch (error) {
      if (changed || !isLifeboatError(error, 'media-changed')) throw error;
    } finally {
      await ended(source);
      closeSync(file.fd);
    }
  }
  return undefined;
}

function statOf({ sizeBytes, stamp, changedMs }: RegularFile): MediaStat {
  return { sizeBytes, stamp, changedMs };
}

/** Synchronous, without a stream: for a media store of many small files that is a third of the time. */
function readSmall(
  root: string,
  path: string,
  memory: Uint8Array,
): StableRead<Uint8Array> | 'too large' | undefined {
  for (const changed of [false, true]) {
    const file = openRegular(root, path);
    if (file === undefined) return undefined;
    try {
      if (file.sizeBytes > memory.length) return 'too large';
      const value = wholeContent(file, memory);
      return { ...statOf(file), changed, value };
    } catch (error) {
      if (changed || !isLifeboatError(error, 'media-changed')) throw error;
    } finally {
      closeSync(file.fd);
    }
  }
  return undefined;
}

/** No read may be under way when the descriptor is closed: its number may belong to another file by then. */
async function ended(source: Readable): Promise<void> {
  if (source.closed) return;
  // An error here was the consumer's to see already.
  source.on('error', () => undefined);
  source.destroy();
  await new Promise((resolve) => source.once('close', resolve));
}

async function hashFile(root: string, path: string): Promise<string | undefined> {
  const file = openRegular(root, path);
  if (file === undefined) return undefined;
  try {
    return await sha256Of(file);
  } finally {
    closeSync(file.fd);
  }
}

/** Small files, which most are, into the same memory again and again. */
const memory = new Uint8Array(256 * 1024);

async function sha256Of(file: RegularFile): Promise<string> {
  const hash = createHash('sha256');
  if (file.sizeBytes <= memory.length) hash.update(wholeContent(file, memory));
  else for await (const piece of contentOf(file)) hash.update(piece);
  return hash.digest('hex');
}

async function compare(
  root: string,
  path: string,
  { sizeBytes, sha256 }: { readonly sizeBytes: number | null; readonly sha256: string | null },
): Promise<string | undefined> {
  const file = openRegular(root, path);
  if (file === undefined) return 'missing';
  try {
    if (sizeBytes !== null && file.sizeBytes !== sizeBytes)
      return `${file.sizeBytes} bytes instead of ${sizeBytes}`;
    if (sha256 === null) return undefined;
    const actual = await sha256Of(file);
    return actual === sha256 ? undefined : `SHA-256 ${actual} instead of ${sha256}`;
  } finally {
    closeSync(file.fd);
  }
}

async function* walkFiles(
  root: string,
  classes?: readonly string[],
): AsyncGenerator<MediaStat & { path: string }> {
  const folders =
    classes ??
    (await readdir(root, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  for await (const { path, kind } of walk(root, folders)) {
    const stat = kind === 'file' ? statFile(root, path) : undefined;
    if (stat !== undefined) yield { path, ...stat };
  }
}
