import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  read,
  readlinkSync,
  readSync,
  type BigIntStats,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LifeboatError } from '../core/errors.ts';

const readAsync = promisify(read);

/** Up to this size a file is read in one call: most media are smaller, and a stream costs more than the reading. */
const WHOLE_FILE_BYTES = 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

export interface MediaStat {
  readonly sizeBytes: number;
  /** Another one when the file was written to or replaced: size, times of content and of inode, inode. */
  readonly stamp: string;
  /** The later of its two times. Ms. */
  readonly changedMs: number;
}

export interface RegularFile extends MediaStat {
  readonly path: string;
  readonly fd: number;
  readonly mtimeNs: bigint;
}

/** Refuses what could lead out of the root. Errors: `archive-unsafe`. */
export function requireSafePath(path: string): void {
  const unsafe =
    path === '' ||
    path.startsWith('/') ||
    path.includes('\0') ||
    path.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (unsafe)
    throw new LifeboatError('archive-unsafe', `unsafe media path ${JSON.stringify(path.slice(0, 200))}`);
}

/**
 * Opens a regular file below `root` (a real path). Never follows a symbolic link, neither at the end (O_NOFOLLOW) nor on the
 * way (the kernel's name of the open file must be the one asked for), and never waits for a fifo or a device.
 * `undefined` when there is no such file. Synchronous on purpose: 10,000s of small files, 20 microseconds each.
 * Errors: `archive-unsafe`, `media-unreadable`.
 */
export function openRegular(root: string, path: string): RegularFile | undefined {
  requireSafePath(path);
  const absolute = join(root, path);
  let fd: number | undefined;
  try {
    if (!lstatSync(absolute).isFile()) throw notRegular(absolute);
    fd = openSync(absolute, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = fstatSync(fd, { bigint: true });
    if (!stat.isFile()) throw notRegular(absolute);
    requireSamePlace(fd, absolute);
    return { path, fd, mtimeNs: stat.mtimeNs, ...describe(stat) };
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    if (isMissing(error)) return undefined;
    throw error instanceof LifeboatError ? error : unreadable(absolute, error);
  }
}

/** Size and mode of a regular file, or `undefined`. Its content may be reached through a link: do not read it on this word. */
export function lookAt(root: string, path: string): MediaStat | undefined {
  requireSafePath(path);
  const absolute = join(root, path);
  try {
    const stat = lstatSync(absolute, { bigint: true });
    if (!stat.isFile()) throw notRegular(absolute);
    return describe(stat);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error instanceof LifeboatError ? error : unreadable(absolute, error);
  }
}

function describe({ size, mtimeNs, ctimeNs, ino }: BigIntStats): MediaStat {
  return {
    sizeBytes: Number(size),
    stamp: `${size}:${mtimeNs}:${ctimeNs}:${ino}`,
    changedMs: Number((mtimeNs > ctimeNs ? mtimeNs : ctimeNs) / 1_000_000n),
  };
}

/** Only Linux says under which name a file is open; elsewhere O_NOFOLLOW has to do. */
function requireSamePlace(fd: number, absolute: string): void {
  if (process.platform !== 'linux') return;
  const name = readlinkSync(`/proc/self/fd/${fd}`);
  if (name !== absolute && name !== `${absolute} (deleted)`) {
    throw new LifeboatError('media-unreadable', `${absolute} is reached through a symbolic link`, {
      hint: 'Point the media directory at the real one, or use a bind mount.',
    });
  }
}

/** The whole file as one piece when small, else in pieces. Fails with `media-changed` when its size or time changed meanwhile. */
export async function* contentOf(file: RegularFile): AsyncGenerator<Uint8Array> {
  let position = 0;
  while (position < file.sizeBytes) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, file.sizeBytes - position));
    const bytesRead =
      file.sizeBytes <= WHOLE_FILE_BYTES
        ? readSync(file.fd, piece, 0, piece.length, position)
        : (await readAsync(file.fd, piece, 0, piece.length, position)).bytesRead;
    if (bytesRead === 0) break;
    position += bytesRead;
    // Before the last piece leaves: a consumer that got everything believes that it has a file.
    if (position >= file.sizeBytes) requireUnchanged(file);
    yield piece.subarray(0, bytesRead);
  }
  requireUnchanged(file);
}

/** All of a file that fits. Fails with `media-changed` like `contentOf`. */
export function wholeContent(file: RegularFile, memory: Uint8Array): Uint8Array {
  let filled = 0;
  while (filled < file.sizeBytes) {
    const bytesRead = readSync(file.fd, memory, filled, file.sizeBytes - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  requireUnchanged(file);
  return memory.subarray(0, filled);
}

function requireUnchanged(file: RegularFile): void {
  const now = fstatSync(file.fd, { bigint: true });
  if (Number(now.size) === file.sizeBytes && now.mtimeNs === file.mtimeNs) return;
  throw new LifeboatError('media-changed', `${file.path} changed while it was read`, {
    hint: 'Media do not change once they are uploaded: see what else writes into the media directory.',
  });
}

function notRegular(path: string): LifeboatError {
  return new LifeboatError('media-unreadable', `${path} is not a regular file`, {
    hint: 'A media store holds files and directories only; move it away.',
  });
}

export function unreadable(path: string, error: unknown): LifeboatError {
  return new LifeboatError(
    'media-unreadable',
    `cannot read ${path}: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`,
    {
      hint: 'Let the user that runs lifeboat read the media directory, for instance by making it a member of the group that owns it.',
      cause: error,
    },
  );
}

/** ENAMETOOLONG: a row with an impossible id has no file. */
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? '');
}
