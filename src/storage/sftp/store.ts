import { posix } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { requireValidKey } from '../key.ts';
import type { ByteRange, ObjectStat, ObjectStore } from '../port.ts';
import { createConnection } from './connection.ts';
import { fileError } from './file-errors.ts';
import * as sftp from './operations.ts';
import { STATUS } from './protocol.ts';
import type { Attributes } from './responses.ts';
import type { Session } from './session.ts';
import { locationOf, type SftpStoreOptions } from './ssh-command.ts';
import { isTemporary, putObject, type Place } from './put.ts';

/**
 * Objects as files below a folder of an SFTP server, in the layout of the local store, over the system's ssh: its configuration,
 * agents and jump hosts serve, and host keys are checked. ssh starts with the first operation and ends when idle.
 *
 * Create-only is link(2) by `hardlink@openssh.com`, and durable is `fsync@openssh.com`: a server without them can be read, and
 * refuses puts. SFTP has no fsync for folders. OpenSSH's server opens a folder as a file and syncs that, which is made use of;
 * elsewhere a power loss of the server may take the name of a new object with it.
 *
 * Errors: `usage`. Those of the port, and `store-denied`: host key, authentication, a server that lacks something.
 */
export async function openSftpStore(options: SftpStoreOptions): Promise<ObjectStore> {
  const connection = createConnection(options);
  const location = locationOf(options);
  const place: Place = { location, root: rootOf(options.path) };
  const putState = { swept: false, synced: new WeakMap<Session, Set<string>>() };

  const reading = async <T>(session: Session, path: string, read: () => Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      throw await fileError(session, error, { verb: 'read', ...place, path });
    }
  };

  return {
    location,
    capabilities: { createOnly: 'link', objectLock: false, versioning: false },
    put: async (key, body) => {
      const path = pathOf(place, key);
      return await connection.use((session) => putObject(session, place, path, body, putState));
    },
    get: async (key, range) => {
      const path = pathOf(place, key);
      return await connection.use((session) =>
        reading(session, path, () => getObject(session, path, key, range)),
      );
    },
    stat: async (key) => {
      const path = pathOf(place, key);
      return await connection.use((session) =>
        reading(session, path, async () => statOf(key, path, await sftp.lstat(session, path))),
      );
    },
    list: (prefix) => listObjects(prefix),
    delete: async (key) => {
      const path = pathOf(place, key);
      await connection.use((session) => deleteObject(session, place, path));
    },
    removeFolder: async (name) => {
      const path = pathOf(place, name);
      // One that is not empty, or is not there, is a failure of no consequence.
      await connection.use((session) => sftp.removeFolder(session, path).catch(ignoreRefusal));
    },
  };

  /** Only the folder that the prefix names is walked. Links are neither followed nor listed: no put has made them. */
  async function* listObjects(prefix: string): AsyncGenerator<ObjectStat> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    if (folder !== '') requireValidKey(folder.slice(0, -1));
    yield* connection.useWhile((session) => walk(session, folder, prefix));
  }

  /** Level by level, several folders at once: each takes three round trips, and packs lie in 256 of them. */
  async function* walk(session: Session, folder: string, prefix: string): AsyncGenerator<ObjectStat> {
    const folders = [folder];
    for (let group = folders.splice(0, 1); group.length > 0; group = folders.splice(0, FOLDERS_AT_ONCE)) {
      const read = group.map((each) => readLevel(session, each, prefix));
      for (const { objects, below } of await Promise.all(read)) {
        folders.push(...below);
        yield* objects;
      }
    }
  }

  async function readLevel(session: Session, folder: string, prefix: string): Promise<Level> {
    const path = posix.join(place.root, folder);
    const level: Level = { objects: [], below: [] };
    return await reading(session, path, async () => {
      for await (const { name, attributes } of sftp.readFolder(session, path)) {
        const key = folder + name;
        if (isTemporary(key) || !isComponent(name)) continue;
        const full = isComplete(attributes) ? attributes : await sftp.lstat(session, posix.join(path, name));
        if (isFolder(full)) {
          if (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`)) level.below.push(`${key}/`);
        } else if (isFile(full) && key.startsWith(prefix)) level.objects.push(objectStat(key, full));
      }
      return level;
    });
  }
}

/** What one folder holds. */
interface Level {
  readonly objects: ObjectStat[];
  readonly below: string[];
}

const FOLDERS_AT_ONCE = 8;

/** Without a slash at its end. `~` is the shell's; servers start in the home folder anyway. */
function rootOf(path: string): string {
  return posix.normalize(path.replace(/^~(?:\/|$)/, './')).replace(/(?<=.)\/+$/, '');
}

function pathOf({ root }: Place, key: string): string {
  requireValidKey(key);
  if (isTemporary(key)) throw new RangeError(`object key ${key} is reserved for temporary files`);
  return posix.join(root, key);
}

async function getObject(
  session: Session,
  path: string,
  key: string,
  range: ByteRange | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  // Before it is opened: opening a FIFO would block the server for ever.
  const stat = statOf(key, path, await sftp.lstat(session, path));
  if (stat === undefined) throw missing(path, key);
  const start = Math.min(range?.offset ?? 0, stat.sizeBytes);
  const length = Math.min(range?.length ?? stat.sizeBytes, stat.sizeBytes - start);
  if (length === 0) return Buffer.alloc(0);
  try {
    const handle = await sftp.openFile(session, path);
    try {
      return await sftp.readExactly(session, handle, start, length);
    } finally {
      sftp.closeHandle(session, handle).catch(() => undefined);
    }
  } catch (error) {
    if (sftp.hasStatus(error, STATUS.noSuchFile)) throw missing(path, key, error);
    if (sftp.hasStatus(error, STATUS.eof))
      throw new LifeboatError('file-unreadable', `${path} became shorter while it was read`);
    throw error;
  }
}

async function deleteObject(session: Session, place: Place, path: string): Promise<void> {
  try {
    await sftp.remove(session, path);
  } catch (error) {
    if (sftp.hasStatus(error, STATUS.noSuchFile)) return;
    // unlink(2) of a folder is a plain failure, and no object is there.
    if (isFolder(await sftp.lstat(session, path).catch(() => undefined))) return;
    throw await fileError(session, error, { verb: 'delete', ...place, path });
  }
}

function ignoreRefusal(error: unknown): void {
  if (!(error instanceof sftp.StatusError)) throw error;
}

/** Undefined where there is nothing, or a folder. */
function statOf(key: string, path: string, attributes: Attributes | undefined): ObjectStat | undefined {
  if (attributes === undefined || isFolder(attributes)) return undefined;
  if (!isFile(attributes))
    throw new LifeboatError('file-unreadable', `${path} is not a regular file`, { context: { path } });
  return objectStat(key, attributes);
}

function objectStat(key: string, { sizeBytes = 0, modifiedS = 0 }: Attributes): ObjectStat {
  return { key, sizeBytes, modified: new Date(modifiedS * 1000) };
}

const TYPE = 0o170000;
const isFile = (attributes: Attributes | undefined): attributes is Attributes =>
  ((attributes?.mode ?? 0) & TYPE) === 0o100000;
const isFolder = (attributes: Attributes | undefined): boolean =>
  ((attributes?.mode ?? 0) & TYPE) === 0o040000;
const isComplete = ({ mode, sizeBytes, modifiedS }: Attributes): boolean =>
  mode !== undefined && sizeBytes !== undefined && modifiedS !== undefined;
/** What a hostile server may call a file must not lead out of its folder. */
const isComponent = (name: string): boolean => name !== '' && !/[/\0]/.test(name);

function missing(path: string, key: string, cause?: unknown): LifeboatError {
  return new LifeboatError('object-missing', `object ${key} is missing: ${path}`, {
    cause,
    context: { key },
  });
}
