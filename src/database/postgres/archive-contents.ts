import { LifeboatError } from '../../core/errors.ts';

/** Head and table of contents of a custom-format archive: pg_dump's pg_backup_archiver.c, WriteHead and WriteToc. */
export interface ArchiveContents {
  /** Bytes before the first data block. */
  readonly length: number;
  /** Of the numbers inside, without their sign. */
  readonly intSize: number;
  readonly entries: readonly ArchiveEntry[];
}

interface ArchiveEntry {
  readonly id: number;
  /** Of TABLE DATA the name of the table. */
  readonly tag: string;
  readonly hasData: boolean;
}

/** 1.14: PostgreSQL 12 to 15; 1.15: 16, one byte for the compression; 1.16: 17 and 18, a relkind in each entry. */
const OLDEST = 14;
const ALGORITHM_SINCE = 15;
const RELKIND_SINCE = 16;
const NEWEST = 16;
const CUSTOM = 1;
/** Parts of the time of the dump. */
const TIME_PARTS = 7;
/** Sizes of numbers that any machine writes. */
const INT_SIZES = new Set([2, 4]);

class Short extends Error {}

/**
 * Undefined: the bytes end before the table of contents does. `newer`: a format that is not known here, of which nothing can be
 * said. Errors: `database-dump-failed`: it is none that a pg_dump of the last ten years writes.
 */
export function readContents(bytes: Buffer): ArchiveContents | 'newer' | undefined {
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof Short) return undefined;
    throw error;
  }
}

function parse(bytes: Buffer): ArchiveContents | 'newer' {
  const cursor = new Cursor(bytes, 'PGDMP'.length);
  const [major, minor] = [cursor.byte(), cursor.byte()];
  cursor.byte();
  if (major > 1 || minor > NEWEST) return 'newer';
  const [intSize, offsetSize, format] = [cursor.byte(), cursor.byte(), cursor.byte()];
  if (minor < OLDEST || !INT_SIZES.has(intSize) || format !== CUSTOM)
    throw new LifeboatError('database-dump-failed', 'pg_dump wrote an archive of an unknown format');
  cursor.intSize = intSize;
  if (minor >= ALGORITHM_SINCE) cursor.byte();
  else cursor.int();
  for (let part = 0; part < TIME_PARTS; part += 1) cursor.int();
  // The database, the server's version and pg_dump's.
  for (let name = 0; name < 3; name += 1) cursor.text();
  const count = cursor.int();
  const entries: ArchiveEntry[] = [];
  for (let index = 0; index < count; index += 1) entries.push(readEntry(cursor, minor, offsetSize));
  return { length: cursor.at, intSize, entries };
}

function readEntry(cursor: Cursor, minor: number, offsetSize: number): ArchiveEntry {
  const id = cursor.int();
  const hasData = cursor.int() !== 0;
  // Two object identifiers.
  cursor.text();
  cursor.text();
  const tag = cursor.text() ?? '';
  cursor.text();
  cursor.int();
  // Definition, drop and copy statements, schema, table space, access method.
  for (let text = 0; text < 6; text += 1) cursor.text();
  if (minor >= RELKIND_SINCE) cursor.int();
  // Owner, and whether it has OIDs.
  cursor.text();
  cursor.text();
  while (cursor.text() !== undefined);
  cursor.skip(1 + offsetSize);
  return { id, tag, hasData };
}

class Cursor {
  intSize = 4;
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  skip(length: number): void {
    if (this.at + length > this.bytes.length) throw new Short();
    this.at += length;
  }

  byte(): number {
    this.skip(1);
    return this.bytes[this.at - 1]!;
  }

  int(): number {
    const sign = this.byte();
    this.skip(this.intSize);
    const value = this.bytes.readUIntLE(this.at - this.intSize, this.intSize);
    return sign === 0 ? value : -value;
  }

  /** Undefined: there is none, which is another thing than an empty one. */
  text(): string | undefined {
    const length = this.int();
    if (length < 0) return undefined;
    this.skip(length);
    return this.bytes.toString('utf8', this.at - length, this.at);
  }
}
