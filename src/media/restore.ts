import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fsync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { mkdir, open, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { eachConcurrently } from '../core/each-concurrently.ts';
import { LifeboatError } from '../core/errors.ts';
import { openMediaDirectory } from './directory.ts';
import { requireSafePath } from './regular-file.ts';

const fsyncAsync = promisify(fsync);

/** A media store that is being written. */
export interface MediaRoot {
  /** Real path. */
  readonly path: string;
  /** `file`: each file and its directory are on the disk when the write resolves; `never`: for a drill's throw-away copy. */
  readonly fsync: 'file' | 'never';
  /** Folders seen to be real directories; bounded. */
  readonly folders: Set<string>;
}

export interface NewMediaFile {
  readonly path: string;
  readonly mode: number;
  readonly sizeBytes: number;
  /** Lower-case hex; undefined when the source does not know it. */
  readonly sha256: string | undefined;
}

/** Synapse spreads media over up to 7 million folders; a few thousand cover the neighbours of a path-ordered restore. */
const FOLDERS_KEPT = 4096;

export async function createMediaRoot(
  path: string,
  options: { readonly fsync?: MediaRoot['fsync'] } = {},
): Promise<MediaRoot> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  return { path: await realpath(path), fsync: options.fsync ?? 'never', folders: new Set() };
}

/** Waiting for the disk to have a file, the others are decrypted and written. */
const FILES_AT_ONCE = 8;

/** `writeMediaFile` for each of them, several at once; `onDone` after each. Errors: as there, and those of the source. */
export async function writeMediaFiles(
  root: MediaRoot,
  files: AsyncIterable<NewMediaFile & { open(): Readable }>,
  { onDone, signal }: { onDone(sizeBytes: number): void; signal?: AbortSignal | undefined },
): Promise<void> {
  await eachConcurrently(files, FILES_AT_ONCE, async (file) => {
    signal?.throwIfAborted();
    await writeMediaFile(root, file, () => file.open());
    onDone(file.sizeBytes);
  });
}

/**
 * Writes one file below the root: a temporary name, then a link, so that a file is there wholly or not at all. One that is
 * there already with the same content is left alone (`kept`), so that a restore can be repeated after a crash.
 * Errors: `archive-unsafe` (leads out of the root), `content-damaged` (not the size or hash promised), `target-not-empty`
 * (another content is there), `disk-full`, `file-unwritable`.
 */
export async function writeMediaFile(
  root: MediaRoot,
  file: NewMediaFile,
  source: () => Readable,
): Promise<'written' | 'kept'> {
  requireSafePath(file.path);
  const target = join(root.path, file.path);
  const folder = dirname(target);
  const temporary = join(folder, `.lifeboat-${randomBytes(6).toString('hex')}`);
  let fd: number | undefined;
  let made = false;
  try {
    ensureFolder(root, dirname(file.path));
    fd = openSync(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    made = true;
    await copy(file, source(), fd);
    // Permission bits only: a set-user-id bit in a manifest is no reason to make one.
    fchmodSync(fd, file.mode & 0o777);
    if (root.fsync === 'file') await fsyncAsync(fd);
    closeSync(fd);
    fd = undefined;
    linkSync(temporary, target);
    unlinkSync(temporary);
    made = false;
    if (root.fsync === 'file') await syncFolder(folder);
    return 'written';
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    if (made) unlinkSync(temporary);
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return keepExisting(root, file);
    throw error instanceof LifeboatError ? error : unwritable(target, error);
  }
}

async function copy(file: NewMediaFile, source: Readable, fd: number): Promise<void> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of source as AsyncIterable<Uint8Array>) {
    hash.update(piece);
    sizeBytes += piece.length;
    if (sizeBytes > file.sizeBytes) break;
    for (let written = 0; written < piece.length;) written += writeSync(fd, piece, written);
  }
  const sha256 = hash.digest('hex');
  if (sizeBytes === file.sizeBytes && (file.sha256 === undefined || file.sha256 === sha256)) return;
  throw new LifeboatError(
    'content-damaged',
    `${file.path} is not what its source promised: other ${sizeBytes === file.sizeBytes ? 'content' : 'size'}`,
    {
      hint: 'Check the repository with `lifeboat check --read-data`.',
      context: { path: file.path },
    },
  );
}

/** Makes the folders of a relative path one by one and refuses symbolic links among them. */
function ensureFolder(root: MediaRoot, relative: string): void {
  if (relative === '.' || root.folders.has(relative)) return;
  ensureFolder(root, dirname(relative));
  const absolute = join(root.path, relative);
  try {
    mkdirSync(absolute, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!lstatSync(absolute).isDirectory())
      throw new LifeboatError('archive-unsafe', `${absolute} is in the way and is not a directory`);
  }
  if (root.folders.size >= FOLDERS_KEPT) root.folders.clear();
  root.folders.add(relative);
}

async function keepExisting(root: MediaRoot, file: NewMediaFile): Promise<'kept'> {
  const directory = await openMediaDirectory(root.path);
  const difference = await directory.compare(file.path, {
    sizeBytes: file.sizeBytes,
    sha256: file.sha256 ?? null,
  });
  if (difference === undefined && file.sha256 !== undefined) return 'kept';
  throw new LifeboatError(
    'target-not-empty',
    `${join(root.path, file.path)} exists already${difference === undefined ? '' : ` and differs: ${difference}`}`,
    {
      hint: 'Restore into an empty media directory.',
    },
  );
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unwritable(path: string, error: unknown): LifeboatError {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new LifeboatError('disk-full', `no space left for ${path}`, {
      hint: 'Free space, then run the restore again; files that are there already are kept.',
      cause: error,
    });
  }
  return new LifeboatError('file-unwritable', `cannot write ${path}: ${code}`, { cause: error });
}
