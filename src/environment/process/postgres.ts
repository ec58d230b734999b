import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import { endOfForeignFile } from '../../core/foreign-file.ts';
import { connect, newestClient } from '../../database/index.ts';
import { findProgram } from '../../exec/index.ts';
import type { PostgresTarget } from '../../database/port.ts';
import type { Environment } from '../port.ts';

/** For a cluster that lives for minutes and is thrown away: no durability, all speed (RELIABILITY: -35 % restore time). */
export const THROW_AWAY = [
  'fsync=off',
  'full_page_writes=off',
  'synchronous_commit=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'max_wal_size=8GB',
  'maintenance_work_mem=256MB',
  'shared_buffers=128MB',
  'listen_addresses=',
  'logging_collector=off',
];
const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 100;
const LONGEST_LOG = 64 * 1024;
const INITDB_TIMEOUT_MS = 120_000;
export const PORT = 5432;
const SUPERUSER = 'lifeboat_drill';

/** A new cluster inside, with locale C and UTF8 as Synapse demands, reachable by its socket only. */
export async function startPostgres(
  environment: Environment,
  postgresDirectory: string | undefined,
): Promise<PostgresTarget> {
  const [initdb, server] = await Promise.all(
    ['initdb', 'postgres'].map((name) => serverProgram(name, postgresDirectory)),
  );
  const [data, sockets] = ['data', 'run'].map((name) => join(environment.directory, 'postgres', name));
  const made = await environment.exec({ argv: ['mkdir', '-p', '-m', '0700', data!, sockets!] });
  if (made.exitCode !== 0)
    throw new LifeboatError('drill-impossible', `cannot make ${data}: ${made.stderr.trim()}`);
  const init = await environment.exec({
    argv: [
      initdb!,
      '--pgdata',
      data!,
      '--username',
      SUPERUSER,
      '--encoding=UTF8',
      '--locale=C',
      '--auth=trust',
      '--no-sync',
    ],
    timeoutMs: INITDB_TIMEOUT_MS,
  });
  if (init.exitCode !== 0)
    throw new LifeboatError('drill-impossible', `initdb failed: ${init.stderr.trim()}`);
  return await runServer(environment, {
    argv: [server!, '-D', data!],
    sockets: sockets!,
    settings: THROW_AWAY,
    superuser: SUPERUSER,
    timeoutMs: READY_TIMEOUT_MS,
  });
}

export interface ServerOptions {
  /** `postgres -D DATA` */
  readonly argv: readonly string[];
  readonly sockets: string;
  readonly settings: readonly string[];
  readonly superuser: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Errors: `drill-impossible` with the end of its log when it does not come up. */
export async function runServer(environment: Environment, options: ServerOptions): Promise<PostgresTarget> {
  const settings = options.settings.flatMap((setting) => ['-c', setting]);
  const service = await environment.run('postgres', {
    argv: [...options.argv, '-k', options.sockets, '-p', String(PORT), ...settings],
  });
  const target = { host: options.sockets, port: PORT, user: options.superuser, database: 'postgres' };
  let ended = false;
  void service.ended.then(() => (ended = true));
  await waitUntilReady(
    target,
    () => ended || options.signal?.aborted === true,
    service.logFile,
    options.timeoutMs,
  );
  return target;
}

/**
 * What a PostgreSQL outside of /usr consists of: its programs, and beside them its libraries and templates. Not the
 * directory above, which may be somebody's home.
 */
export function installationParts(programs: string | undefined): string[] {
  if (programs === undefined || programs.startsWith('/usr/')) return [];
  return ['bin', 'lib', 'share']
    .map((name) => (name === 'bin' ? programs : join(dirname(programs), name)))
    .filter((path) => existsSync(path));
}

async function serverProgram(name: string, directory: string | undefined): Promise<string> {
  // A directory that was named is meant: no other version in its place.
  const path =
    directory === undefined
      ? (await newestClient(name).catch(() => undefined))?.path
      : findProgram(join(directory, name));
  if (path !== undefined) return path;
  const where = directory === undefined ? '' : ` in ${directory}`;
  throw new LifeboatError(
    'drill-impossible',
    `${name}, a program of the PostgreSQL server, is not installed${where}`,
    {
      hint: 'Install it: apt-get install postgresql, or name its directory in lifeboat.yaml as drill.postgres_directory.',
    },
  );
}

async function waitUntilReady(
  target: PostgresTarget,
  hasEnded: () => boolean,
  logFile: string,
  timeoutMs: number,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      const session = await connect(target, { applicationName: 'lifeboat:ready' });
      await session.close();
      return;
    } catch (error) {
      if (hasEnded() || Date.now() > deadline) {
        const log = await endOfForeignFile(logFile, LONGEST_LOG).catch(() => '');
        throw new LifeboatError(
          'drill-impossible',
          `PostgreSQL did not start: ${log.trim().split('\n').slice(-5).join(' / ') || messageOf(error)}`,
        );
      }
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
}
