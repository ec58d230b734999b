import { LifeboatError } from '../core/errors.ts';

const PLAIN_WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left',
  EDQUOT: 'disk quota exceeded',
  EFBIG: 'file too large for this file system or process limit',
  EROFS: 'file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EIO: 'input/output error of the disk',
  EMFILE: 'too many open files',
  EEXIST: 'something else is there',
  EISDIR: 'it is a folder',
  ENOENT: 'no such file or folder',
  ELOOP: 'it is a symbolic link',
  ENOTDIR: 'part of the path is not a folder',
  ENAMETOOLONG: 'name too long for this file system',
};

/** `ENOENT` and the like; undefined for an error that is not the operating system's. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** Says what the system said, with the path. Anything that did not come from the system is passed on as it is. */
export function fileError(
  error: unknown,
  path: string,
  fallback: 'file-unreadable' | 'file-unwritable',
): unknown {
  const code = systemCode(error);
  if (code === undefined || error instanceof LifeboatError) return error;
  const problem = `${PLAIN_WORDS[code] ?? 'system error'} (${code})`;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new LifeboatError('disk-full', `cannot write ${path}: ${problem}`, {
      cause: error,
      hint: `Free space on the file system of ${path} or raise the limit, and run the command again.`,
      context: { path },
    });
  }
  const verb = fallback === 'file-unreadable' ? 'read' : 'write';
  return new LifeboatError(fallback, `cannot ${verb} ${path}: ${problem}`, {
    cause: error,
    context: { path },
  });
}
