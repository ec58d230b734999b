import { ATTRIBUTE, DATA_BYTES, EXTENSION, OPEN, REQUEST, STATUS } from './protocol.ts';
import type { Attributes, Entry, Response } from './responses.ts';
import type { Session } from './session.ts';
import { ProtocolError, string, uint32, uint64, WireReader } from './wire.ts';

/** A request that the server refused; `status` is one of STATUS. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message === '' ? `status ${status}` : message.toLowerCase());
    this.status = status;
  }
}

export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof StatusError && error.status === status;
}

/** Requests in flight for one file: 2 MiB on the way fill a line of 160 Mbit/s with 100 ms there and back. */
const WINDOW = 64;
const NO_ATTRIBUTES = uint32(0);

export async function createFile(session: Session, path: string): Promise<Buffer> {
  const flags = uint32(OPEN.write | OPEN.create | OPEN.exclusive);
  return handleOf(await session.request(REQUEST.open, string(path), flags, permissions(0o600)));
}

/** Also opens folders where the server is OpenSSH's: open(2) takes them for reading. */
export async function openFile(session: Session, path: string): Promise<Buffer> {
  return handleOf(await session.request(REQUEST.open, string(path), uint32(OPEN.read), NO_ATTRIBUTES));
}

export async function closeHandle(session: Session, handle: Buffer): Promise<void> {
  done(await session.request(REQUEST.close, string(handle)));
}

export async function writeAll(session: Session, handle: Buffer, body: Uint8Array): Promise<void> {
  await inWindow(body.length, async (offset, length) => {
    const data = body.subarray(offset, offset + length);
    // The data follow as they are, instead of being copied behind their length.
    const response = session.request(REQUEST.write, string(handle), uint64(offset), uint32(length), data);
    done(await response);
  });
}

/** Exactly these bytes. Errors: StatusError `eof` where the file is shorter. */
export async function readExactly(
  session: Session,
  handle: Buffer,
  start: number,
  length: number,
): Promise<Buffer<ArrayBuffer>> {
  const bytes = Buffer.allocUnsafe(length);
  await inWindow(length, async (offset, wanted) => {
    // A server may give less than it was asked for.
    for (let filled = 0; filled < wanted;) {
      const at = uint64(start + offset + filled);
      const response = await session.request(REQUEST.read, string(handle), at, uint32(wanted - filled));
      if (response.kind !== 'data') throw refused(response);
      if (response.data.length === 0 || response.data.length > wanted - filled)
        throw new ProtocolError(`${response.data.length} bytes where ${wanted - filled} were asked for`);
      response.data.copy(bytes, offset + filled);
      filled += response.data.length;
    }
  });
  return bytes;
}

/** Undefined where there is nothing. Links are not followed. */
export async function lstat(session: Session, path: string): Promise<Attributes | undefined> {
  return attributesOf(await session.request(REQUEST.lstat, string(path)));
}

/** As `lstat`, of what a link leads to. */
export async function stat(session: Session, path: string): Promise<Attributes | undefined> {
  return attributesOf(await session.request(REQUEST.stat, string(path)));
}

/** Nothing where there is no such folder; `.` and `..` are left out. */
export async function* readFolder(session: Session, path: string): AsyncGenerator<Entry> {
  const opened = await session.request(REQUEST.opendir, string(path));
  if (isMissing(opened)) return;
  const handle = handleOf(opened);
  try {
    for (;;) {
      const response = await session.request(REQUEST.readdir, string(handle));
      if (response.kind === 'status' && response.code === STATUS.eof) return;
      if (response.kind !== 'name') throw refused(response);
      for (const entry of response.entries) if (entry.name !== '.' && entry.name !== '..') yield entry;
    }
  } finally {
    // Nobody waits for it, and a session that is gone has closed it.
    closeHandle(session, handle).catch(() => undefined);
  }
}

export async function remove(session: Session, path: string): Promise<void> {
  done(await session.request(REQUEST.remove, string(path)));
}

export async function makeFolder(session: Session, path: string): Promise<void> {
  done(await session.request(REQUEST.mkdir, string(path), permissions(0o700)));
}

export async function removeFolder(session: Session, path: string): Promise<void> {
  done(await session.request(REQUEST.rmdir, string(path)));
}

/** link(2): fails where the new path is there already. */
export async function hardLink(session: Session, from: string, to: string): Promise<void> {
  done(await session.request(REQUEST.extended, string(EXTENSION.hardlink), string(from), string(to)));
}

export async function fsync(session: Session, handle: Buffer): Promise<void> {
  done(await session.request(REQUEST.extended, string(EXTENSION.fsync), string(handle)));
}

/** Of the file system of a path; undefined where the server does not tell. */
export async function fileSystem(
  session: Session,
  path: string,
): Promise<{ freeBytes: bigint; freeFiles: bigint; readOnly: boolean } | undefined> {
  if (!session.extensions.has(EXTENSION.statvfs)) return undefined;
  const response = await session.request(REQUEST.extended, string(EXTENSION.statvfs), string(path));
  if (response.kind !== 'extended') return undefined;
  const reader = new WireReader(response.body);
  // bsize, frsize, blocks, bfree, bavail, files, ffree, favail, fsid, flag, namemax (OpenSSH's PROTOCOL, 4.5)
  const numbers = Array.from({ length: 11 }, () => reader.anyUint64());
  const [, fragment = 0n, , , blocks = 0n, , , freeFiles = 0n, , flags = 0n] = numbers;
  return { freeBytes: fragment * blocks, freeFiles, readOnly: (flags & 1n) !== 0n };
}

/** Runs over `length` bytes in pieces, so many at a time; after an error no further piece is begun. */
async function inWindow(
  length: number,
  transfer: (offset: number, length: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < length) {
      const offset = next;
      next += DATA_BYTES;
      try {
        await transfer(offset, Math.min(DATA_BYTES, length - offset));
      } catch (error) {
        next = length;
        throw error;
      }
    }
  };
  const lanes = Math.min(WINDOW, Math.ceil(length / DATA_BYTES));
  const results = await Promise.allSettled(Array.from({ length: lanes }, lane));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

function permissions(mode: number): Buffer {
  return Buffer.concat([uint32(ATTRIBUTE.permissions), uint32(mode)]);
}

function done(response: Response): void {
  if (response.kind !== 'status' || response.code !== STATUS.ok) throw refused(response);
}

function handleOf(response: Response): Buffer {
  if (response.kind !== 'handle') throw refused(response);
  return response.handle;
}

function attributesOf(response: Response): Attributes | undefined {
  if (isMissing(response)) return undefined;
  if (response.kind !== 'attributes') throw refused(response);
  return response.attributes;
}

function isMissing(response: Response): boolean {
  return response.kind === 'status' && response.code === STATUS.noSuchFile;
}

function refused(response: Response): Error {
  if (response.kind === 'status') return new StatusError(response.code, response.message);
  return new ProtocolError(`the answer ${response.kind}, which was not asked for`);
}
