import { PassThrough, type Readable } from 'node:stream';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import { streamOut } from '../../exec/index.ts';
import type { PostgresTarget } from '../port.ts';
import { clientEnvironment, newestClient, withPasswordFile } from './client.ts';
import { requireWholeArchive } from './whole-archive.ts';

export interface DumpOptions {
  readonly snapshotId: string;
  /** `15.18` */
  readonly serverVersion: string;
  readonly excludedTableData: readonly string[];
  readonly clientDirectory?: string | undefined;
  readonly runId: string;
  /** How long pg_dump may wait for a table that somebody holds exclusively. */
  readonly lockWaitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface DatabaseDump {
  /** Custom format, uncompressed: chunks repeat from night to night. Fails when pg_dump fails. */
  readonly stream: Readable;
  readonly clientVersion: string;
}

const LOCK_WAIT_MS = 30_000;

/** Errors: `database-client-old`, `command-missing`; the stream: `database-dump-failed` with what pg_dump said. */
export async function dumpDatabase(target: PostgresTarget, options: DumpOptions): Promise<DatabaseDump> {
  const client = await newestClient('pg_dump', options.clientDirectory);
  requireNewEnough(client.version, options.serverVersion);
  const argv = [
    client.path,
    '--format=custom',
    '--compress=0',
    '--no-password',
    `--lock-wait-timeout=${Math.round(options.lockWaitMs ?? LOCK_WAIT_MS)}ms`,
    `--snapshot=${options.snapshotId}`,
    ...options.excludedTableData.map((table) => `--exclude-table-data=public.${table}`),
  ];
  const stream = new PassThrough();
  void runInto(stream, target, argv, options);
  return { stream, clientVersion: client.version };
}

async function runInto(
  stream: PassThrough,
  target: PostgresTarget,
  argv: readonly string[],
  options: DumpOptions,
): Promise<void> {
  try {
    await withPasswordFile(target, async (passwordEnv) => {
      const env = { ...clientEnvironment(target, `lifeboat:${options.runId}:dump`), ...passwordEnv };
      const { stdout, done } = streamOut(argv, { env, signal: options.signal });
      const checked = stdout.pipe(requireWholeArchive());
      stdout.on('error', (error) => checked.destroy(error));
      stream.on('close', () => stdout.destroy());
      for await (const chunk of checked as AsyncIterable<Buffer>) {
        if (!stream.write(chunk)) await drained(stream);
      }
      await done;
    });
    stream.end();
  } catch (error) {
    stream.destroy(dumpError(target, error));
  }
}

function drained(stream: PassThrough): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      stream.off('drain', settle).off('close', settle);
      if (stream.destroyed) reject(new Error('the reader of the dump gave up'));
      else resolve();
    };
    stream.on('drain', settle).on('close', settle);
  });
}

function requireNewEnough(client: string, server: string): void {
  if (Number.parseInt(client, 10) >= Number.parseInt(server, 10)) return;
  throw new LifeboatError(
    'database-client-old',
    `pg_dump ${client} cannot dump a PostgreSQL ${server} server`,
    {
      hint: `Install postgresql-client-${Number.parseInt(server, 10)}, or name the directory of a newer pg_dump in lifeboat.yaml as database.client_directory.`,
      context: { client, server },
    },
  );
}

function dumpError(target: PostgresTarget, error: unknown): LifeboatError {
  if (error instanceof LifeboatError && error.code !== 'command-failed') return error;
  return new LifeboatError('database-dump-failed', `dumping ${target.database} failed: ${messageOf(error)}`, {
    hint: 'Nothing was committed. If a table was locked, run the backup again when the other session is done.',
    cause: error,
  });
}
