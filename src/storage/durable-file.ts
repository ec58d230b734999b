import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileError, systemCode } from './file-error.ts';

/**
 * Writing so that a crash or power loss leaves the old file or the new one, whole: temporary file, fsync, rename or link, and
 * fsync of the folder, without which the name itself may be lost.
 */
export interface DurableWriteOptions {
  /** Default 0600. */
  readonly mode?: number;
  /** Create only: resolves to `exists`, and changes nothing, when the file is there already. */
  readonly exclusive?: boolean;
  /** A folder on the same file system for the temporary file; default: beside the target, under a name that starts with a dot. */
  readonly temporaryFolder?: string;
}

/** Errors: `disk-full`, `file-unwritable`, naming the path. The folder must exist. */
export async function writeDurably(
  path: string,
  bytes: Uint8Array | string,
  options: DurableWriteOptions = {},
): Promise<'created' | 'exists'> {
  const folder = dirname(path);
  const name = `.lifeboat-${process.pid}-${randomBytes(8).toString('hex')}.tmp`;
  const temporary = join(options.temporaryFolder ?? folder, name);
  try {
    await writeNew(temporary, bytes, options.mode ?? 0o600);
    const result =
      options.exclusive === true ? await linkNew(temporary, path) : await replace(temporary, path);
    // Also when it exists: whoever made it may have been killed before this.
    await syncFolder(folder);
    return result;
  } catch (error) {
    throw fileError(error, path, 'file-unwritable');
  }
}

/**
 * Makes a folder and its missing parents, 0700, durably; changes nothing that was there. One level at a time, because a
 * recursive mkdir of Node calls a full disk `ENOENT`. Errors: `disk-full`, `file-unwritable`.
 */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  await makeFolder(resolve(path), false);
}

/** `hasParents`: they have been made; below /proc a name cannot be made all the same, and mkdir says `ENOENT` again. */
async function makeFolder(folder: string, hasParents: boolean): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' && !hasParents && dirname(folder) !== folder) {
      await makeFolder(dirname(folder), false);
      return makeFolder(folder, true);
    }
    // On a read-only file system mkdir says EROFS or EEXIST, as it likes.
    if (await isFolder(folder)) return;
    throw fileError(error, folder, 'file-unwritable');
  }
  await syncFolder(dirname(folder));
}

/** Makes the names in a folder durable. Errors: `file-unwritable`. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path, 'file-unwritable');
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

async function linkNew(temporary: string, path: string): Promise<'created' | 'exists'> {
  try {
    await link(temporary, path);
    return 'created';
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return 'exists';
    throw error;
  } finally {
    await discard(temporary);
  }
}

async function replace(temporary: string, path: string): Promise<'created'> {
  try {
    await rename(temporary, path);
    return 'created';
  } catch (error) {
    await discard(temporary);
    throw error;
  }
}

async function writeNew(path: string, bytes: Uint8Array | string, mode: number): Promise<void> {
  const handle = await open(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    mode,
  );
  try {
    await handle.writeFile(bytes);
    // The umask may have taken bits that the caller asked for.
    await handle.chmod(mode);
    // After a failed fsync the kernel may have dropped the pages: never tried again on the same file.
    await handle.sync();
  } catch (error) {
    await discard(path);
    throw error;
  } finally {
    await handle.close();
  }
}

/** Best effort: a temporary file that stays is swept later, and the first error is the one worth telling. */
async function discard(temporary: string): Promise<void> {
  await unlink(temporary).catch(() => undefined);
}
