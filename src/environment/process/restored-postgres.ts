import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { newestOf } from '../../database/index.ts';
import type { PostgresTarget } from '../../database/port.ts';
import { findProgram } from '../../exec/index.ts';
import type { Environment, RestoredCluster } from '../port.ts';
import { PORT, runServer, THROW_AWAY } from './postgres.ts';

/** Where packages of Debian and of the PostgreSQL project's RPMs put a major. */
const INSTALLED = [
  (major: number) => `/usr/lib/postgresql/${major}/bin`,
  (major: number) => `/usr/pgsql-${major}/bin`,
];

/** Nothing that the source was set up with: it would archive, replicate, or load what is not there. */
const HARMLESS = [
  'archive_mode=off',
  'primary_conninfo=',
  'shared_preload_libraries=',
  'session_preload_libraries=',
  'local_preload_libraries=',
  'ssl=off',
  'hot_standby=off',
  // Writes of its own would be taken for transactions of the source.
  'autovacuum=off',
  // As many as a source may have had in its prepared transactions.
  'max_prepared_transactions=100',
  // No program: "not in the archive", so that the segments in pg_wal are taken (Postgres manual, "Recovering Using a Continuous Archive Backup").
  'restore_command=false',
  'recovery_target_inclusive=off',
  'recovery_target_action=promote',
];

/**
 * A cluster of restored files, recovered to its target. Every configuration file in it is replaced first: settings,
 * authentication and what ALTER SYSTEM has left belong to another machine. Errors: `drill-impossible`, `database-restore-failed`.
 */
export async function startRestored(
  environment: Environment,
  cluster: RestoredCluster,
  postgresDirectory: string | undefined,
): Promise<PostgresTarget> {
  const { data, lsn, timeline, superuser, timeoutMs, signal } = cluster;
  const server = await serverOfMajor(Number.parseInt(cluster.serverVersion, 10), postgresDirectory);
  const files = {
    'postgresql.conf': '',
    'postgresql.auto.conf': '',
    'pg_hba.conf': 'local all all trust\n',
    'pg_ident.conf': '',
    'recovery.signal': '',
  };
  // Removed first: what was restored may be a link.
  for (const name of [...Object.keys(files), 'standby.signal', 'postmaster.pid', 'postmaster.opts'])
    await rm(join(data, name), { recursive: true, force: true });
  for (const [name, text] of Object.entries(files))
    await writeFile(join(data, name), text, { mode: 0o600, flag: 'wx' });
  const sockets = restoredPlace(environment.directory).host;
  await mkdir(sockets, { mode: 0o700 });
  for (const path of [sockets, data]) await environment.handOver(path);
  const settings = [
    ...THROW_AWAY,
    ...HARMLESS,
    ...['hba', 'ident'].map((name) => `${name}_file=${join(data, `pg_${name}.conf`)}`),
    `recovery_target_lsn=${lsn}`,
    `recovery_target_timeline=0x${timeline}`,
  ];
  const argv = [server, '-D', data];
  return await runServer(environment, { argv, sockets, settings, superuser, timeoutMs, signal }).catch(
    (error: unknown) => {
      if (!(error instanceof LifeboatError)) throw error;
      throw new LifeboatError(
        'database-restore-failed',
        `the restored cluster was not recovered to ${lsn}: ${error.message}`,
        {
          hint: 'Look at postgres.log of the drill (--keep), and at the backup with `pgbackrest verify`.',
          cause: error,
        },
      );
    },
  );
}

/** Where it will be reached; who as is known when it is there. */
export function restoredPlace(directory: string): PostgresTarget {
  return { host: join(directory, 'postgres-run'), port: PORT, user: '', database: 'postgres' };
}

async function serverOfMajor(major: number, directory: string | undefined): Promise<string> {
  const places = [...(directory === undefined ? [] : [directory]), ...INSTALLED.map((place) => place(major))];
  const candidates = [
    ...places.map((place) => findProgram(join(place, 'postgres'))),
    findProgram('postgres'),
  ];
  for (const candidate of candidates) {
    const found = await newestOf([candidate]);
    if (found !== undefined && Number.parseInt(found.version, 10) === major) return found.path;
  }
  throw new LifeboatError(
    'drill-impossible',
    `a physical backup of PostgreSQL ${major} needs its programs, and there is no postgres ${major} here`,
    {
      hint: `Install it: apt-get install postgresql-${major}, or name its directory in lifeboat.yaml as drill.postgres_directory.`,
    },
  );
}
