import { createReadStream, createWriteStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { open, writeFile } from 'node:fs/promises';
import { LifeboatError, messageOf } from '../core/errors.ts';
import {
  detectDumpFormat,
  newestClient,
  pgRestoreArgv,
  psqlFileArgv,
  restorePasses,
} from '../database/index.ts';
import { requireGoodContents, runClient } from './client-tools.ts';
import type { RestoreContext } from './context.ts';
import { makeMentionedRoles } from './dump-roles.ts';

/** The last line that pg_dump writes into plain SQL (pg_dump.c); pg_dumpall and cut files lack it. */
const TRAILER = 'PostgreSQL database dump complete';
const TRAILER_WITHIN_BYTES = 4096;

/**
 * Loads one dump file into the target database, by the client tools where they belong (inside the sandbox for a drill).
 * Errors: `database-restore-failed` with what the tool said, `archive-unsafe`, `content-damaged` for a cut plain dump.
 */
export async function loadDump(file: string, context: RestoreContext): Promise<void> {
  const format = await detectDumpFormat(file);
  if (format === 'custom') return loadArchive(file, context);
  if (format === 'plain') return loadPlain(file, context);
  const unpacked = `${file}.unpacked`;
  try {
    await pipeline(
      createReadStream(file),
      format === 'gzip' ? createGunzip() : createZstdDecompress(),
      createWriteStream(unpacked, { mode: 0o600 }),
      { signal: context.signal },
    );
  } catch (error) {
    context.signal?.throwIfAborted();
    throw new LifeboatError('content-damaged', `${file} cannot be decompressed: ${messageOf(error)}`, {
      hint: 'The dump is cut or damaged; try an older one.',
      cause: error,
    });
  }
  return loadDump(unpacked, context);
}

async function loadArchive(file: string, context: RestoreContext): Promise<void> {
  const { target, source } = context;
  const { path } = await newestClient('pg_restore', target.clientDirectory, source.dumpMajor);
  await context.handOver(file);
  const listing = await requireGoodContents(path, { file, called: file }, context);
  const { database } = target.database;
  const jobs = availableParallelism();
  const passes = restorePasses(listing);
  if (passes === undefined)
    await runClient(context, pgRestoreArgv(path, database, { file, jobs }), 'pg_restore');
  for (const [index, { list, parallel }] of (passes ?? []).entries()) {
    const listFile = `${file}.list-${index}`;
    await writeFile(listFile, list, { mode: 0o600 });
    await context.handOver(listFile);
    const argv = pgRestoreArgv(path, database, { file, jobs: parallel ? jobs : 1, list: listFile });
    await runClient(context, argv, 'pg_restore');
  }
}

async function loadPlain(file: string, context: RestoreContext): Promise<void> {
  if (!context.target.sealed) {
    throw new LifeboatError(
      'archive-unsafe',
      `${file} is plain SQL, which can run commands on this machine`,
      {
        hint: 'Drill it: a drill runs it in a sealed environment.',
      },
    );
  }
  await requireTrailer(file);
  await makeMentionedRoles(file, context.target);
  const { path } = await newestClient('psql', context.target.clientDirectory);
  await context.handOver(file);
  await runClient(context, psqlFileArgv(path, context.target.database.database, file), 'psql');
}

async function requireTrailer(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, TRAILER_WITHIN_BYTES);
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    if (buffer.toString('latin1').includes(TRAILER)) return;
  } finally {
    await handle.close();
  }
  throw new LifeboatError('content-damaged', `${file} does not end with "${TRAILER}": it is cut`, {
    hint: 'pg_dump was interrupted or the disk was full. Use an older dump, and watch the exit status of pg_dump.',
  });
}
