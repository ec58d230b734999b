import { PassThrough, type Readable } from 'node:stream';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import type { PostgresTarget } from '../port.ts';
import { clientEnvironment, withPasswordFile } from './client.ts';
import { dumpClient, type DumpClient } from './dump-client.ts';
import { tlsHint } from './tls.ts';
import { requireWholeArchive } from './whole-archive.ts';
import { qualified, type DumpPart } from './lanes/plan.ts';

export interface DumpOptions {
  readonly snapshotId: string;
  /** `15.18` */
  readonly serverVersion: string;
  /** What of the database: all of it, or one part of a plan. */
  readonly part: Pick<DumpPart, 'name' | 'section' | 'only' | 'without'>;
  readonly clientDirectory?: string | undefined;
  readonly runId: string;
  /** How long pg_dump may wait for a table that somebody holds exclusively. */
  readonly lockWaitMs?: number | undefined;
  /** Of what pg_dump has written since it was called last. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface DatabaseDump {
  /** Custom format, uncompressed: chunks repeat from night to night. Fails when pg_dump fails. */
  readonly stream: Readable;
  /** Resolves when pg_dump is gone, for whatever reason. */
  readonly ended: Promise<void>;
  readonly clientVersion: string;
}

const LOCK_WAIT_MS = 30_000;

/** Errors: `database-client-old`, `command-missing`; the stream: `database-dump-failed` with what pg_dump said. */
export async function dumpDatabase(target: PostgresTarget, options: DumpOptions): Promise<DatabaseDump> {
  const client = await dumpClient(target, options.serverVersion, options.clientDirectory);
  const argv = [
    client.path,
    '--format=custom',
    '--compress=0',
    '--no-password',
    `--lock-wait-timeout=${Math.round(options.lockWaitMs ?? LOCK_WAIT_MS)}ms`,
    `--snapshot=${options.snapshotId}`,
    ...partArgv(options.part),
  ];
  const stream = new PassThrough();
  const ended = runInto(stream, target, client, argv, options);
  return { stream, ended, clientVersion: client.version };
}

/** `--strict-names`: a pattern without a table would otherwise be a table less, and status 0. */
function partArgv({ section, only, without }: DumpOptions['part']): string[] {
  return [
    ...(section === undefined ? [] : [`--section=${section}`]),
    ...(only === undefined ? [] : ['--strict-names', ...only.map((table) => `--table=${qualified(table)}`)]),
    ...without.map((table) => `--exclude-table-data=${qualified(table)}`),
  ];
}

async function runInto(
  stream: PassThrough,
  target: PostgresTarget,
  client: DumpClient,
  argv: readonly string[],
  options: DumpOptions,
): Promise<void> {
  try {
    await withPasswordFile(target, async (passwordEnv) => {
      const env = {
        ...clientEnvironment(target, `lifeboat:${options.runId}:dump:${options.part.name}`),
        ...passwordEnv,
      };
      const { stdout, done } = client.start(argv, { env, signal: options.signal });
      const checked = stdout.pipe(requireWholeArchive());
      stdout.on('error', (error) => checked.destroy(error));
      stream.on('close', () => checked.destroy(gaveUp()));
      try {
        for await (const chunk of checked as AsyncIterable<Buffer>) {
          options.onBytes?.(chunk.length);
          if (!stream.write(chunk)) await drained(stream);
        }
      } catch (error) {
        // Nobody reads on: pg_dump is told to end, and the password file stays until it has.
        stdout.destroy();
        await done.catch(() => undefined);
        throw error;
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
      if (stream.destroyed) reject(gaveUp());
      else resolve();
    };
    if (stream.destroyed) {
      reject(gaveUp());
      return;
    }
    stream.on('drain', settle).on('close', settle);
  });
}

function gaveUp(): Error {
  return new Error('the reader of the dump gave up');
}

function dumpError(target: PostgresTarget, error: unknown): LifeboatError {
  if (error instanceof LifeboatError && error.code !== 'command-failed') return error;
  return new LifeboatError('database-dump-failed', `dumping ${target.database} failed: ${messageOf(error)}`, {
    hint:
      tlsHint(messageOf(error)) ??
      'Nothing was committed. If a table was locked, run the backup again when the other session is done.',
    cause: error,
  });
}
