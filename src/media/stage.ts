import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  lstatSync,
  mkdirSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { LifeboatError } from '../core/errors.ts';
import { requireSafePath } from './regular-file.ts';
import type { MediaContent, MediaRoot } from './restore.ts';

export interface NewMediaFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Lower-case hex; undefined when the source does not know it. */
  readonly sha256: string | undefined;
}

/** A whole file under a temporary name. */
export interface StagedFile {
  readonly file: NewMediaFile;
  readonly temporary: string;
  readonly target: string;
}

/** All media are written by one program with one umask: the bits of each file say nothing, and no snapshot has them. */
const MODE = 0o640;
/** Synapse spreads media over up to 7 million folders; a few thousand cover the neighbours of a path-ordered restore. */
const FOLDERS_KEPT = 4096;

/** Synchronous but for the reading: a call in the thread pool costs more than making a file. Errors: as `writeMediaFiles`. */
export async function stageFile(
  root: MediaRoot,
  file: NewMediaFile,
  content: MediaContent,
): Promise<StagedFile> {
  requireSafePath(file.path);
  const target = join(root.path, file.path);
  const temporary = join(root.staging, randomBytes(8).toString('hex'));
  const whole = await content.whole?.();
  let fd: number | undefined;
  let made = false;
  try {
    ensureFolder(root, dirname(file.path));
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    fd = openSync(temporary, flags, MODE);
    made = true;
    if (whole === undefined) await copy(file, content.open(), fd);
    else if (whole.length === file.sizeBytes) writeAll(fd, whole);
    else throw damaged(file, 'size');
    // The umask may have taken some.
    fchmodSync(fd, MODE);
    return { file, temporary, target };
  } catch (error) {
    if (made) unlinkSync(temporary);
    throw error instanceof LifeboatError ? error : unwritable(target, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

async function copy(file: NewMediaFile, source: Readable, fd: number): Promise<void> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of source as AsyncIterable<Uint8Array>) {
    hash.update(piece);
    sizeBytes += piece.length;
    if (sizeBytes > file.sizeBytes) break;
    writeAll(fd, piece);
  }
  if (sizeBytes !== file.sizeBytes) throw damaged(file, 'size');
  if (file.sha256 !== undefined && file.sha256 !== hash.digest('hex')) throw damaged(file, 'content');
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
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

function damaged(file: NewMediaFile, what: 'size' | 'content'): LifeboatError {
  return new LifeboatError('content-damaged', `${file.path} is not what its source promised: other ${what}`, {
    hint: 'Check the repository with `lifeboat check --read-data`.',
    context: { path: file.path },
  });
}

export function unwritable(path: string, error: unknown): LifeboatError {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new LifeboatError('disk-full', `no space left for ${path}`, {
      hint: 'Free space, then run the restore again; files that are there already are kept.',
      cause: error,
    });
  }
  return new LifeboatError('file-unwritable', `cannot write ${path}: ${code}`, { cause: error });
}
