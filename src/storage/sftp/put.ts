import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { fileError } from './file-errors.ts';
import * as sftp from './operations.ts';
import { EXTENSION, STATUS } from './protocol.ts';
import type { Session } from './session.ts';

/** The folder of a store on its server, and the store's name in messages. */
export interface Place {
  readonly location: string;
  readonly root: string;
}

/** What one store remembers from put to put. */
export interface PutState {
  /** Old temporary files were looked for. */
  swept: boolean;
  /** Folders whose names this session has made durable up to the root. */
  readonly synced: WeakMap<Session, Set<string>>;
}

const TEMPORARY = 'tmp';
const SWEEP_AGE_S = 24 * 60 * 60;

export function isTemporary(key: string): boolean {
  return key === TEMPORARY || key.startsWith(`${TEMPORARY}/`);
}

/** Temporary file, fsync, link(2) to the final name, fsync of the folders where the server can. */
export async function putObject(
  session: Session,
  place: Place,
  path: string,
  body: Uint8Array,
  state: PutState,
): Promise<'created' | 'exists'> {
  requireExtensions(session, place);
  const temporary = posix.join(place.root, TEMPORARY, `lifeboat-${randomBytes(12).toString('hex')}.tmp`);
  try {
    const handle = await inFolder(session, temporary, () => sftp.createFile(session, temporary));
    try {
      try {
        await sftp.writeAll(session, handle, body);
        await sftp.fsync(session, handle);
      } finally {
        await sftp.closeHandle(session, handle);
      }
      const result = await linkNew(session, temporary, path);
      await syncFolders(session, place.root, posix.dirname(path), state.synced);
      if (!state.swept) await sweep(session, temporary);
      state.swept = true;
      return result;
    } finally {
      // Best effort: what stays is swept later, and the first error is the one worth telling.
      await sftp.remove(session, temporary).catch(() => undefined);
    }
  } catch (error) {
    throw await fileError(session, error, { verb: 'write', ...place, path, neededBytes: body.length });
  }
}

function requireExtensions(session: Session, { location }: Place): void {
  const lacking = [EXTENSION.hardlink, EXTENSION.fsync].filter((name) => !session.extensions.has(name));
  if (lacking.length === 0) return;
  throw new LifeboatError(
    'store-denied',
    `${location}: the server lacks ${lacking.join(' and ')}, without which an object cannot be created whole, durably and only once`,
    { hint: 'Use a server that has them, such as the sftp-server of OpenSSH.' },
  );
}

async function linkNew(session: Session, temporary: string, path: string): Promise<'created' | 'exists'> {
  try {
    await inFolder(session, path, () => sftp.hardLink(session, temporary, path));
    return 'created';
  } catch (error) {
    // SFTP 3 has no status of its own for what exists.
    if (error instanceof sftp.StatusError && (await sftp.lstat(session, path)) !== undefined) return 'exists';
    throw error;
  }
}

/** Tries first, and makes the folder of the path where it is missing: most often it is there. */
async function inFolder<T>(session: Session, path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (!sftp.hasStatus(error, STATUS.noSuchFile)) throw error;
    await ensureFolder(session, posix.dirname(path));
    return await operation();
  }
}

async function ensureFolder(session: Session, path: string): Promise<void> {
  try {
    await sftp.makeFolder(session, path);
  } catch (error) {
    const parent = posix.dirname(path);
    if (sftp.hasStatus(error, STATUS.noSuchFile) && parent !== path) {
      await ensureFolder(session, parent);
      return ensureFolder(session, path);
    }
    const mode = (await sftp.stat(session, path))?.mode ?? 0;
    if ((mode & 0o170000) !== 0o040000) throw error;
    return;
  }
  await syncFolder(session, posix.dirname(path));
}

/** The folder of a new object each time; those above it once, since somebody who was killed may have made them. */
async function syncFolders(
  session: Session,
  root: string,
  folder: string,
  memory: WeakMap<Session, Set<string>>,
): Promise<void> {
  await syncFolder(session, folder);
  const synced = memory.get(session) ?? new Set();
  memory.set(session, synced);
  for (let each = folder; each !== root && !synced.has(each); each = posix.dirname(each)) {
    await syncFolder(session, posix.dirname(each));
    synced.add(each);
  }
}

/** Nothing where the server does not open folders: SFTP knows no other way. */
async function syncFolder(session: Session, path: string): Promise<void> {
  const handle = await sftp.openFile(session, path).catch((error: unknown) => {
    if (error instanceof sftp.StatusError) return undefined;
    throw error;
  });
  if (handle === undefined) return;
  try {
    await sftp.fsync(session, handle);
  } catch (error) {
    // EINVAL: a file system that has no fsync for folders.
    if (!sftp.hasStatus(error, STATUS.badMessage)) throw error;
  } finally {
    sftp.closeHandle(session, handle).catch(() => undefined);
  }
}

/** Removes temporary files a day older than ours, by the server's clock. Best effort: another host may sweep at the same time. */
async function sweep(session: Session, ours: string): Promise<void> {
  const folder = posix.dirname(ours);
  try {
    const now = (await sftp.lstat(session, ours))?.modifiedS;
    if (now === undefined) return;
    for await (const { name, attributes } of sftp.readFolder(session, folder)) {
      const { mode = 0, modifiedS = now } = attributes;
      if ((mode & 0o170000) !== 0o100000 || now - modifiedS < SWEEP_AGE_S || name.includes('/')) continue;
      await sftp.remove(session, posix.join(folder, name)).catch(() => undefined);
    }
  } catch (error) {
    if (!(error instanceof sftp.StatusError)) throw error;
  }
}
