import { Transform } from 'node:stream';
import { LifeboatError } from '../../core/errors.ts';
import { readContents, type ArchiveContents } from './archive-contents.ts';

/** Types of data blocks (pg_dump's pg_backup_custom.c). */
const BLOCK_DATA = 1;
const BLOCK_BLOBS = 3;
/** First bytes of a custom-format archive (pg_backup_archiver.c). */
const MAGIC = Buffer.from('PGDMP');
/** First attempt to read the table of contents; each next one at twice as much, so that a long one is not read a hundred times. */
const FIRST_ATTEMPT = 16 * 1024;
/** That of a homeserver with two hundred tables has some 300 KiB. */
const LONGEST_CONTENTS = 64 * 1024 * 1024;

/**
 * Passes a custom-format archive through, and fails unless it is whole. Exit status 0 of pg_dump does not make it so, and
 * `pg_restore --list` accepts one that was cut: it reads the table of contents, which stands first. Here every entry that
 * announces data must have its data block, each block must end where it says, and nothing may follow. Of an archive of a format
 * newer than 1.16 (PostgreSQL 18) only the first bytes are looked at. Errors: `database-dump-failed`.
 */
export function requireWholeArchive(): Transform {
  const checker = new ArchiveChecker();
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(
        failure(() => checker.take(chunk)),
        chunk,
      );
    },
    flush(done) {
      done(failure(() => checker.end()));
    },
  });
}

function failure(check: () => void): Error | null {
  try {
    check();
    return null;
  } catch (error) {
    return error as Error;
  }
}

class ArchiveChecker {
  /** What could not be understood without what follows: the whole head first, then less than one number. */
  private rest: Buffer = Buffer.alloc(0);
  private nextAttempt = FIRST_ATTEMPT;
  private contents: ArchiveContents | 'newer' | undefined;
  private awaited = new Set<number>();
  private state: 'block' | 'chunk' | 'blob' | 'blob-chunk' = 'block';
  /** Bytes of a chunk that are still to come. */
  private skip = 0;
  private sizeBytes = 0;

  take(chunk: Buffer): void {
    this.sizeBytes += chunk.length;
    if (this.contents === 'newer') return;
    if (this.contents !== undefined) return this.blocks(chunk);
    this.rest = Buffer.concat([this.rest, chunk]);
    const head = this.rest.subarray(0, MAGIC.length);
    if (!head.equals(MAGIC.subarray(0, head.length)))
      throw broken('pg_dump wrote something that is not a custom-format archive');
    if (this.rest.length >= this.nextAttempt) this.head();
  }

  end(): void {
    if (this.contents === undefined && this.sizeBytes > 0) this.head();
    if (this.contents === 'newer') return;
    const where = `the archive is cut: pg_dump ended after ${this.sizeBytes} bytes without an error,`;
    if (this.contents === undefined) throw broken(`${where} within its table of contents`);
    if (this.skip > 0 || this.state !== 'block' || this.rest.length > 0)
      throw broken(`${where} within a data block`);
    if (this.awaited.size === 0) return;
    const names = [...this.awaited].map((id) => this.nameOf(id));
    throw broken(
      `${where} without the data of ${names.slice(0, 5).join(', ')}${names.length > 5 ? `, and ${names.length - 5} more` : ''}`,
    );
  }

  private head(): void {
    this.nextAttempt *= 2;
    const contents = readContents(this.rest);
    if (contents === undefined) {
      if (this.rest.length > LONGEST_CONTENTS) throw broken('pg_dump wrote an endless table of contents');
      return;
    }
    this.contents = contents;
    if (contents === 'newer') {
      this.rest = Buffer.alloc(0);
      return;
    }
    this.awaited = new Set(contents.entries.filter(({ hasData }) => hasData).map(({ id }) => id));
    const data = this.rest.subarray(contents.length);
    this.rest = Buffer.alloc(0);
    this.blocks(data);
  }

  private blocks(chunk: Buffer): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const { intSize } = this.contents as ArchiveContents;
    let at = 0;
    for (;;) {
      const skipped = Math.min(this.skip, bytes.length - at);
      at += skipped;
      this.skip -= skipped;
      const block = this.state === 'block' ? 1 : 0;
      if (this.skip > 0 || bytes.length - at < block + 1 + intSize) break;
      this.number(block === 1 ? bytes[at]! : 0, readInt(bytes, at + block, intSize));
      at += block + 1 + intSize;
    }
    // A copy: the chunk belongs to whoever reads the stream.
    this.rest = Buffer.from(bytes.subarray(at));
  }

  /** Data block: chunks of a length, ended by a length of 0. Large objects: each a number and such a list, ended by number 0. */
  private number(block: number, value: number): void {
    switch (this.state) {
      case 'block':
        if (block !== BLOCK_DATA && block !== BLOCK_BLOBS)
          throw broken(`pg_dump wrote a data block of unknown type ${block}`);
        if (!this.awaited.delete(value))
          throw broken(`pg_dump wrote data that its table of contents does not name: ${this.nameOf(value)}`);
        this.state = block === BLOCK_DATA ? 'chunk' : 'blob';
        return;
      case 'blob':
        requireLength(value);
        this.state = value === 0 ? 'block' : 'blob-chunk';
        return;
      default:
        requireLength(value);
        if (value > 0) this.skip = value;
        else this.state = this.state === 'chunk' ? 'block' : 'blob';
    }
  }

  private nameOf(id: number): string {
    const { entries } = this.contents as ArchiveContents;
    return entries.find((entry) => entry.id === id)?.tag ?? `entry ${id}`;
  }
}

function requireLength(value: number): void {
  if (value < 0) throw broken(`pg_dump wrote a length of ${value}`);
}

/** A sign, and `size` bytes, the lowest first (WriteInt). */
function readInt(bytes: Buffer, at: number, size: number): number {
  const value = bytes.readUIntLE(at + 1, size);
  return bytes[at] === 0 ? value : -value;
}

function broken(problem: string): LifeboatError {
  return new LifeboatError('database-dump-failed', problem, {
    hint: 'Nothing was committed. Run the backup again; if it stays, run pg_dump by hand and look at what it writes.',
  });
}
