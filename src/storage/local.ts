import { constants } from 'node:fs';
import { lstat, open, opendir, rmdir, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { LifeboatError } from '../core/errors.ts';
import { ensurePrivateDirectory, syncFolder, writeDurably } from './durable-file.ts';
import { fileError, systemCode } from './file-error.ts';
import { requireValidKey } from './key.ts';
import type { ByteRange, ObjectStat, ObjectStore } from './port.ts';

/**
 * Objects as files below one folder. An object appears under its name by link(2) of a file that is written and synced already,
 * so it is never seen in part and never replaced. Temporary files live in `tmp/`; what a crash leaves there is swept after a day.
 */
export interface LocalStore extends ObjectStore {
  /** Removes temporary files older than this, and says how many. */
  sweepTemporary(maxAgeMs: number): Promise<number>;
}

const TEMPORARY = 'tmp';
const SWEEP_AGE_MS = 24 * 60 * 60 * 1000;

/** Makes nothing: folders come with the first put, so that a mistyped place stays a missing repository and a read-only one opens. */
export async function openLocalStore(root: string): Promise<LocalStore> {
  const base = resolve(root);
  const temporaryFolder = join(base, TEMPORARY);
  const store: LocalStore = {
    location: base,
    capabilities: { createOnly: 'link', objectLock: false, versioning: false },
    put: async (key, body) => putObject(base, pathOf(base, key), body, temporaryFolder),
    get: async (key, range) => getObject(pathOf(base, key), key, range),
    stat: async (key) => statObject(pathOf(base, key), key),
    list: (prefix) => listObjects(base, prefix),
    delete: async (key) => deleteObject(pathOf(base, key)),
    removeFolder: async (name) => removeFolder(pathOf(base, name)),
    sweepTemporary: (maxAgeMs) => sweep(temporaryFolder, maxAgeMs),
  };
  await store.sweepTemporary(SWEEP_AGE_MS);
  return store;
}

function pathOf(base: string, key: string): string {
  requireValidKey(key);
  if (isTemporary(key)) throw new RangeError(`object key ${key} is reserved for temporary files`);
  return join(base, key);
}

function isTemporary(key: string): boolean {
  return key === TEMPORARY || key.startsWith(`${TEMPORARY}/`);
}

async function putObject(
  base: string,
  path: string,
  body: Uint8Array,
  temporaryFolder: string,
): Promise<'created' | 'exists'> {
  await ensurePrivateDirectory(temporaryFolder);
  // Asked of the file system each time: a remembered answer broke puts after somebody had removed the folder.
  await ensurePrivateDirectory(dirname(path));
  const result = await writeDurably(path, body, { exclusive: true, temporaryFolder });
  // A writer that was killed, or runs beside this one, may have made a folder without having synced its name.
  for (let folder = dirname(path); folder !== base; folder = dirname(folder))
    await syncFolder(dirname(folder));
  return result;
}

async function getObject(
  path: string,
  key: string,
  range: ByteRange | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  // O_NONBLOCK: opening a FIFO would otherwise wait for ever.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch((error: unknown) => {
    throw readError(error, path, key);
  });
  try {
    const stats = await handle.stat();
    if (stats.isDirectory()) throw missing(path, key);
    if (!stats.isFile()) throw notRegular(path);
    const start = Math.min(range?.offset ?? 0, stats.size);
    const bytes = Buffer.allocUnsafe(Math.min(range?.length ?? stats.size, stats.size - start));
    for (let filled = 0; filled < bytes.length;) {
      const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, start + filled);
      if (bytesRead === 0)
        throw new LifeboatError('file-unreadable', `${path} became shorter while it was read`);
      filled += bytesRead;
    }
    return bytes;
  } catch (error) {
    throw readError(error, path, key);
  } finally {
    await handle.close();
  }
}

async function statObject(path: string, key: string): Promise<ObjectStat | undefined> {
  try {
    const stats = await lstat(path);
    if (stats.isDirectory()) return undefined;
    if (!stats.isFile()) throw notRegular(path);
    return { key, sizeBytes: stats.size, modified: stats.mtime };
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw fileError(error, path, 'file-unreadable');
  }
}

/** Only the folder that the prefix names is walked. Links are neither followed nor listed: no put has made them. */
async function* listObjects(base: string, prefix: string): AsyncGenerator<ObjectStat> {
  const slash = prefix.lastIndexOf('/');
  const folder = prefix.slice(0, slash + 1);
  if (folder !== '') requireValidKey(folder.slice(0, -1));
  yield* walk(base, folder, prefix);
}

async function* walk(base: string, folder: string, prefix: string): AsyncGenerator<ObjectStat> {
  const path = join(base, folder);
  const entries = await opendir(path).catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw fileError(error, path, 'file-unreadable');
  });
  if (entries === undefined) return;
  for await (const entry of entries) {
    const key = folder + entry.name;
    if (isTemporary(key)) continue;
    if (entry.isDirectory()) {
      if (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`)) yield* walk(base, `${key}/`, prefix);
    } else if (entry.isFile() && key.startsWith(prefix)) {
      // Gone since the folder was read: deleted meanwhile, so not listed.
      const stat = await statObject(join(base, key), key);
      if (stat !== undefined) yield stat;
    }
  }
}

/** Not synced: an object that comes back after a power loss is garbage that the next prune finds again. */
async function deleteObject(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    const code = systemCode(error);
    if (isAbsent(error) || code === 'EISDIR') return;
    if (code !== 'EPERM' && code !== 'EACCES') throw fileError(error, path, 'file-unwritable');
    throw new LifeboatError('store-denied', `cannot delete ${path}: permission denied (${code})`, {
      cause: error,
      hint: 'Let this user own the folder, unless it is meant to add only.',
      context: { path },
    });
  }
}

/** One that is not empty stays. */
async function removeFolder(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (!isAbsent(error) && systemCode(error) !== 'ENOTEMPTY')
      throw fileError(error, path, 'file-unwritable');
  }
}

/** Best effort: the store may be read-only, and another process may sweep at the same time. */
async function sweep(temporaryFolder: string, maxAgeMs: number): Promise<number> {
  let swept = 0;
  const entries = await opendir(temporaryFolder).catch(() => undefined);
  if (entries === undefined) return swept;
  for await (const entry of entries) {
    const path = join(temporaryFolder, entry.name);
    const stats = await lstat(path).catch(() => undefined);
    if (stats === undefined || !stats.isFile() || Date.now() - stats.mtimeMs < maxAgeMs) continue;
    swept += await unlink(path).then(
      () => 1,
      () => 0,
    );
  }
  return swept;
}

function isAbsent(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function readError(error: unknown, path: string, key: string): unknown {
  return isAbsent(error) ? missing(path, key, error) : fileError(error, path, 'file-unreadable');
}

function missing(path: string, key: string, cause?: unknown): LifeboatError {
  return new LifeboatError('object-missing', `object ${key} is missing: ${path}`, {
    cause,
    context: { key },
  });
}

function notRegular(path: string): LifeboatError {
  return new LifeboatError('file-unreadable', `${path} is not a regular file`, { context: { path } });
}
