import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { LifeboatError } from '../core/errors.ts';
import { committedSince, connect, segmentAfter, segmentsBetween, timelineOf } from '../database/index.ts';
import type { PhysicalEngine } from '../database/engine.ts';
import type { Environment } from '../environment/port.ts';
import type { Progress } from '../observe/index.ts';
import type { RecoveredCluster } from '../restore/context.ts';
import type { RestoreSource } from '../restore/source.ts';

export interface ClusterRestore {
  readonly source: RestoreSource;
  readonly engine: PhysicalEngine | undefined;
  readonly environment: Environment;
  /** Who the drill connects as: no superuser, with the rights of whoever owns the tables. */
  readonly owner: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Brings a physical backup to life in the sealed environment. The tool runs outside, because it needs its repository, and writes
 * the files and all WAL up to the target; PostgreSQL runs inside, and reaches nothing but these.
 * Errors: `external-backup-expired`, `wal-missing`, `database-restore-failed`, `drill-impossible`.
 */
export async function restoreCluster(options: ClusterRestore): Promise<RecoveredCluster> {
  const { source, environment, clock, progress, signal } = options;
  const { backup, database } = source.physical!;
  const engine = requireEngine(options);
  const { target, label, walStart } = backup;
  const data = join(environment.directory, 'cluster');
  const scratch = { directory: join(environment.directory, 'cluster-tablespaces'), signal };
  for (const path of [data, scratch.directory]) await mkdir(path, { mode: 0o700 });

  const begun = clock.now().getTime();
  await engine.find(label);
  const wal = await engine.wal(walStart, target.walSegmentBytes);
  progress({ phase: 'restore-database', message: `${engine.name}: restoring ${label}` });
  await engine.restoreInto(data, label, scratch);
  const segments = segmentsBetween(walStart, target.walFile, target.walSegmentBytes);
  progress({ phase: 'restore-database', message: `fetching ${segments.length} WAL segments` });
  await engine.fetchWal(data, segments, scratch);
  // The record that ends the recovery may begin in the next segment; most often it does not, and that one may not be there yet.
  await engine
    .fetchWal(data, [segmentAfter(target.walFile, target.walSegmentBytes)], scratch)
    .catch((error: unknown) => {
      if (!(error instanceof LifeboatError) || error.code !== 'wal-missing') throw error;
    });
  await environment.handOver(scratch.directory);

  progress({ phase: 'restore-database', message: `replaying WAL up to ${target.lsn}` });
  const restored = clock.now().getTime();
  const admin = await environment.restoredPostgres({
    data,
    serverVersion: source.postgresVersion!,
    superuser: backup.superuser,
    lsn: target.lsn,
    timeline: timelineOf(target.walFile),
    timeoutMs: options.timeoutMs,
    signal,
  });
  const replayed = clock.now().getTime();
  await using session = await connect({ ...admin, database }, { applicationName: 'lifeboat:prepare' });
  // Before anything of ours is written.
  const between = await committedSince(session, target.snapshot);
  await makeOwner(session, options.owner);
  return {
    between,
    restoreMs: restored - begun,
    replayMs: replayed - restored,
    walSegments: segments.length,
    wal,
  };
}

async function makeOwner(session: Awaited<ReturnType<typeof connect>>, owner: string): Promise<void> {
  await session.query(`
    CREATE ROLE ${owner} LOGIN INHERIT;
    DO $$ DECLARE role name; BEGIN
      FOR role IN SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'
        UNION SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()
      LOOP EXECUTE format('GRANT %I TO ${owner}', role); END LOOP;
    END $$`);
}

function requireEngine({ engine, source }: ClusterRestore): PhysicalEngine {
  if (engine !== undefined) return engine;
  const { stanza, label } = source.physical!.backup;
  throw new LifeboatError(
    'drill-impossible',
    `the database of this snapshot is the pgBackRest backup ${label} of stanza ${stanza}, and nothing says how to reach it`,
    {
      hint: 'Name stanza and configuration in lifeboat.yaml under database.pgbackrest (docs/pgbackrest.md).',
    },
  );
}
