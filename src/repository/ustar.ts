import { Header } from 'tar';
import { LifeboatError } from '../core/errors.ts';

/**
 * The part of POSIX ustar that we write: regular files (in archives also directories and symbolic links) with names of at most 255 bytes. Headers are written by the tar package;
 * they are read here, as strictly as they are written (the package is lenient by design), so that nothing has two meanings: a wrong checksum, a size that is not octal or a missing end is damage, never a guess.
 * Every tar (GNU, BSD, busybox) reads what is written here.
 */
export const BLOCK = 512;

export interface TarMember {
  readonly name: string;
  /** `0` is a regular file (see `isRegular`), `2` a symbolic link, `5` a directory. */
  readonly type: string;
  /** Of a link; else empty. */
  readonly target: string;
  readonly mode: number;
  /** Of the body, in bytes from the start of the tar. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/** Two empty blocks; a tar without them was cut. */
export const endOfTar: Uint8Array = Buffer.alloc(2 * BLOCK);

/** 1980-01-01: GNU tar calls 1970 implausible, and the time of a backup would only make equal archives differ. */
const MTIME = new Date('1980-01-01T00:00:00Z');
const LARGEST_SIZE = 0o77777777777;

export interface TarEntry {
  readonly type?: 'File' | 'Directory' | 'SymbolicLink';
  /** Of a link: at most 100 bytes. */
  readonly target?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly owner?: string | undefined;
  readonly group?: string | undefined;
}

/** What seven octal digits hold. */
const LARGEST_ID = 0o7777777;
const LINK_BYTES = 100;

/** Errors: RangeError when the name does not fit (`fitsUstar`), or the target of a link. */
export function tarHeader(name: string, sizeBytes: number, mode = 0o600, entry: TarEntry = {}): Uint8Array {
  if (!fitsUstar(name)) throw new RangeError(`name does not fit into a ustar header: ${name}`);
  if (entry.target !== undefined && !fitsLink(entry.target))
    throw new RangeError(`target of a link does not fit into a ustar header: ${name}`);
  if (sizeBytes > LARGEST_SIZE) throw new RangeError(`a ustar member has at most 8 GiB: ${name}`);
  const header = new Header({
    path: name,
    mode,
    uid: fittingId(entry.uid),
    gid: fittingId(entry.gid),
    size: sizeBytes,
    mtime: MTIME,
    type: entry.type ?? 'File',
    linkpath: entry.target ?? '',
    uname: fittingName(entry.owner),
    gname: fittingName(entry.group),
  });
  header.encode();
  return header.block!;
}

/** A larger one stands in the manifest only: there is no way to write it that every tar reads. */
function fittingId(id = 0): number {
  return id <= LARGEST_ID ? id : 0;
}

/** ustar has 32 bytes with a NUL; and tar goes by the number where there is no name. */
function fittingName(name = ''): string {
  return /^[\w.$-]{1,31}$/.test(name) ? name : '';
}

export function fitsLink(target: string): boolean {
  return target !== '' && !target.includes('\0') && Buffer.byteLength(target) <= LINK_BYTES;
}

/**
 * The header of a private file with a name of at most 100 ASCII characters: for the thousands of members of a pack, at a tenth
 * of the time. Only name, size and checksum differ from those of another file.
 */
export function shortHeader(name: string, sizeBytes: number): Uint8Array {
  const header = Buffer.from((template ??= tarHeader('name', 0)));
  header.fill(0, 0, 100);
  header.write(name, 0, 100, 'latin1');
  header.write(sizeBytes.toString(8).padStart(10, '0'), 124, 10, 'latin1');
  header.write(`${checksum(header).toString(8).padStart(6, '0')} \0`, 148, 8, 'latin1');
  return header;
}

let template: Uint8Array | undefined;

/** Names of more than 100 bytes are split at a slash into prefix (at most 155 bytes) and name. */
export function fitsUstar(name: string): boolean {
  const bytes = Buffer.from(name, 'utf8');
  if (bytes.length === 0 || bytes.includes(0)) return false;
  if (bytes.length <= 100) return true;
  const slash = bytes.indexOf('/', bytes.length - 101);
  return slash >= 1 && slash <= 155 && slash < bytes.length - 1;
}

/** Zeros that fill the last block of a body. */
export function paddingAfter(sizeBytes: number): Uint8Array {
  return Buffer.alloc(roundUp(sizeBytes) - sizeBytes);
}

export function isRegular(member: TarMember): boolean {
  return member.type === '0' || member.type === '\u0000';
}

/** Members in order. Errors: `repository-damaged` for everything that `tarHeader` would not have written, but any type. */
export function listTar(tar: Uint8Array): TarMember[] {
  const bytes = Buffer.from(tar.buffer, tar.byteOffset, tar.byteLength);
  const members: TarMember[] = [];
  let at = 0;
  while (!isEmptyBlock(bytes, at)) {
    const member = parseHeader(bytes.subarray(at, at + BLOCK), at + BLOCK);
    const end = member.offset + member.sizeBytes;
    at = roundUp(end);
    if (at > bytes.length) throw damaged('tar is cut short');
    if (bytes.subarray(end, at).some((byte) => byte !== 0))
      throw damaged(`tar has something behind ${member.name}`);
    members.push(member);
  }
  for (let end = at; end < at + endOfTar.length || end < bytes.length; end += BLOCK) {
    if (!isEmptyBlock(bytes, end)) throw damaged('tar has something behind its end');
  }
  return members;
}

function parseHeader(header: Buffer, offset: number): TarMember {
  const stored = parseOctal(header, 148, 8);
  if (header.toString('latin1', 257, 262) !== 'ustar' || checksum(header) !== stored) {
    throw damaged(`tar header at byte ${offset - BLOCK} is damaged`);
  }
  const prefix = parseText(header, 345, 155);
  const name = parseText(header, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type: header.toString('latin1', 156, 157),
    target: parseText(header, 157, LINK_BYTES),
    mode: parseOctal(header, 100, 8) & 0o7777,
    offset,
    sizeBytes: parseOctal(header, 124, 12),
  };
}

function isEmptyBlock(bytes: Buffer, at: number): boolean {
  if (at + BLOCK > bytes.length) throw damaged('tar is cut short');
  return bytes.compare(endOfTar, 0, BLOCK, at, at + BLOCK) === 0;
}

/** The sum of all bytes of the header with its own field taken as eight spaces. */
function checksum(header: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i += 1) if (i < 148 || i >= 156) sum += header[i] as number;
  return sum;
}

function parseOctal(header: Buffer, start: number, length: number): number {
  const digits = /^ *([0-7]+)[ \0]*$/.exec(header.toString('latin1', start, start + length))?.[1];
  if (digits === undefined) throw damaged('tar header has a number that is not octal');
  return Number.parseInt(digits, 8);
}

function parseText(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  const text = end === -1 ? field : field.subarray(0, end);
  if (end !== -1 && field.subarray(end).some((byte) => byte !== 0))
    throw damaged('tar member has a name with NUL');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
  } catch (cause) {
    throw damaged('tar member has a name that is not UTF-8', cause);
  }
}

function roundUp(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK) * BLOCK;
}

function damaged(problem: string, cause?: unknown): LifeboatError {
  return new LifeboatError('repository-damaged', problem, { cause });
}
