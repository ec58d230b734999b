import { constants, openSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { LifeboatError } from '../core/errors.ts';
import { newestClient, pgRestoreArgv } from '../database/index.ts';
import { runCommand } from '../exec/index.ts';
import { requireGoodContents, runClient } from './client-tools.ts';
import type { RestoreContext } from './context.ts';
import type { DumpFile } from './source.ts';

/** Tables of contents are far smaller; of a database with a hundred thousand objects it is made larger. */
const FIRST_HEAD_BYTES = 1024 * 1024;
const MOST_HEAD_BYTES = 256 * 1024 * 1024;
const OPEN_POLL_MS = 10;
const REPORT_EVERY_MS = 250;

/**
 * Loads an archive of rows on its way from the repository, without a file: its beginning is held back until pg_restore has listed
 * what it holds, then the same bytes and all others go through a named pipe into pg_restore's standard input, wherever that runs.
 * Errors: as `loadDump`, those of reading.
 */
export async function loadLane(dump: DumpFile, directory: string, context: RestoreContext): Promise<void> {
  const { target, source: from } = context;
  const { path: pgRestore } = await newestClient('pg_restore', target.clientDirectory, from.dumpMajor);
  const source = dump.open();
  try {
    const rest = source[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    const head = await checkedHead(rest, pgRestore, { directory, name: dump.name }, context);
    const pipe = join(directory, 'pipe');
    await runCommand(['mkfifo', '-m', '0600', pipe], { check: true });
    await context.handOver(pipe);
    const argv = pgRestoreArgv(pgRestore, target.database.database);
    // The shell gets no text but its own: the pipe is its $0, the rest its arguments.
    const loading = runClient(context, ['/bin/sh', '-c', 'exec "$@" <"$0"', pipe, ...argv], 'pg_restore');
    await feedUntilEnd(loading, pipe, wholeOf(head, rest, counter(dump, context)), context);
  } finally {
    source.destroy();
  }
}

/** What was read of the source, as much as holds the whole table of contents, which was found harmless. */
async function checkedHead(
  source: AsyncIterator<Uint8Array>,
  pgRestore: string,
  { directory, name }: { readonly directory: string; readonly name: string },
  context: RestoreContext,
): Promise<Uint8Array[]> {
  const held: Uint8Array[] = [];
  let [size, wanted] = [0, FIRST_HEAD_BYTES];
  for (;;) {
    let ended = false;
    while (size < wanted && !ended) {
      const next = await source.next();
      if (next.done === true) ended = true;
      else {
        held.push(next.value);
        size += next.value.length;
      }
    }
    const file = join(directory, `head-${wanted}`);
    await writeFile(file, held, { mode: 0o600 });
    try {
      await context.handOver(file);
      await requireGoodContents(pgRestore, { file, called: name }, context);
      return held;
    } catch (error) {
      const cut = error instanceof LifeboatError && error.code === 'database-restore-failed';
      if (!cut || ended || wanted >= MOST_HEAD_BYTES) throw error;
      wanted *= 16;
    } finally {
      await rm(file, { force: true });
    }
  }
}

async function feedUntilEnd(
  loading: Promise<unknown>,
  pipe: string,
  content: AsyncIterable<Uint8Array>,
  context: RestoreContext,
): Promise<void> {
  let over = false;
  const ended = loading.finally(() => (over = true));
  ended.catch(() => undefined);
  const sink = await openForWriting(pipe, () => over);
  if (sink === undefined) {
    await ended;
    throw stoppedReading();
  }
  const feeding = pipeline(content, sink, { signal: context.signal });
  const [loaded, fed] = await Promise.allSettled([ended, feeding]);
  // A source that failed has cut the archive; what pg_restore says of it is no news. But EPIPE only says that pg_restore is gone.
  if (fed.status === 'rejected' && !isBrokenPipe(fed.reason)) throw fed.reason;
  if (loaded.status === 'rejected') throw loaded.reason;
  // Status 0 although not all was read: the end of the content, and so its hash, was not seen.
  if (fed.status === 'rejected') throw stoppedReading();
}

async function* wholeOf(
  head: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for (const bytes of head) {
    count(bytes.length);
    yield bytes;
  }
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    count(next.value.length);
    yield next.value;
  }
}

/**
 * A pipe can be opened for writing without waiting only while somebody reads it (fifo(7), ENXIO): tried until pg_restore's shell
 * has opened it, or has ended. Waiting in open(2) would hold one of four threads that read and write all files.
 */
async function openForWriting(pipe: string, isOver: () => boolean): Promise<Socket | undefined> {
  while (!isOver()) {
    try {
      const fd = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
      return new Socket({ fd, readable: false, writable: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
      await sleep(OPEN_POLL_MS);
    }
  }
  return undefined;
}

function counter(dump: DumpFile, { progress }: RestoreContext): (bytes: number) => void {
  let [done, toldAt] = [0, 0];
  const total = dump.content?.sizeBytes;
  return (bytes) => {
    done += bytes;
    if (performance.now() - toldAt < REPORT_EVERY_MS) return;
    toldAt = performance.now();
    const of = total === undefined ? {} : { total };
    progress({ phase: 'restore-database', lane: dump.name, done, ...of, unit: 'bytes' });
  };
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EPIPE';
}

function stoppedReading(): LifeboatError {
  return new LifeboatError(
    'database-restore-failed',
    'pg_restore ended before it had read the whole archive',
    {
      hint: 'The dump does not restore. Try an older snapshot, and back up again soon.',
    },
  );
}
