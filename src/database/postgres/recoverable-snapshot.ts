import { LifeboatError, messageOf } from '../../core/errors.ts';
import type { PostgresSession, PostgresTarget } from '../port.ts';
import { segmentAt, timelineOf } from '../pgbackrest/wal-segment.ts';
import { connect } from './connect.ts';
import { sequenceValues } from './invariants.ts';
import { openSnapshot, type DatabaseSnapshot, type RecoveryPoint, type SnapshotOptions } from './snapshot.ts';

/**
 * Best is a moment in which nobody writes: then both hold the same for certain. A busy server has none; there it is enough that none
 * of those who were writing is known to have committed meanwhile, and in the end any moment will do: the drill finds out.
 */
const ATTEMPTS = 20;
const FOR_A_QUIET_MOMENT = 15;

/**
 * A recovery to a position of the WAL holds all transactions whose commit record is before it. A snapshot holds those that had
 * left the list of running ones; a commit is first written, then leaves (xact.c, RecordTransactionCommit). So what the snapshot
 * holds the recovery holds too, and for an instant a transaction can be in the second alone. That is looked for, and the
 * snapshot taken again. Needs no superuser. Errors: `database-*`.
 */
export async function openRecoverableSnapshot(
  target: PostgresTarget,
  runId: string,
  options: SnapshotOptions = {},
): Promise<DatabaseSnapshot> {
  await using observer = await connect(target, { applicationName: `lifeboat:${runId}:observer` });
  for (let attempt = 1; ; attempt += 1) {
    const sequences = await sequenceValues(observer);
    const snapshot = await openSnapshot(target, runId, options);
    try {
      const place = await placeInWal(snapshot.session);
      const states = attempt <= FOR_A_QUIET_MOMENT ? ['committed', 'in progress'] : ['committed'];
      if (attempt === ATTEMPTS || (await countSince(observer, place.target.snapshot, states)) === 0)
        return { ...snapshot, recovery: { ...place, sequences } };
    } catch (error) {
      await snapshot[Symbol.asyncDispose]();
      throw standbyError(error, target);
    }
    await snapshot[Symbol.asyncDispose]();
  }
}

async function placeInWal(session: PostgresSession): Promise<Omit<RecoveryPoint, 'sequences'>> {
  const [row] = await session.query<{
    snapshot: string;
    lsn: string;
    file: string;
    bytes: string;
    system: string;
    superuser: string;
  }>(
    `SELECT pg_current_snapshot()::text AS snapshot, at.lsn::text AS lsn, pg_walfile_name(at.lsn) AS file,
       (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS bytes,
       (SELECT system_identifier::text FROM pg_control_system()) AS system,
       (SELECT rolname::text FROM pg_roles WHERE oid = 10) AS superuser
     FROM pg_current_wal_insert_lsn() AS at(lsn)`,
  );
  const { snapshot, lsn, file, bytes, system, superuser } = row!;
  const walSegmentBytes = Number(bytes);
  // pg_walfile_name gives the segment before for a position between two.
  const walFile = segmentAt(timelineOf(file), lsn, walSegmentBytes);
  return { target: { lsn, walFile, walSegmentBytes, snapshot }, systemId: system, superuser };
}

function standbyError(error: unknown, { database, host }: PostgresTarget): unknown {
  if (error instanceof LifeboatError || !/recovery is in progress/.test(messageOf(error))) return error;
  return new LifeboatError(
    'database-dump-failed',
    `${database} on ${host} is a standby, which writes no WAL`,
    {
      hint: 'Name the primary in lifeboat.yaml under database; pgBackRest itself may read from the standby (backup-standby).',
      cause: error,
    },
  );
}

/**
 * Transactions that are committed here and were not in that snapshot (text of a pg_snapshot): in a cluster that was recovered,
 * before anything is written to it, all of them and no other.
 */
export async function committedSince(session: PostgresSession, snapshot: string): Promise<number> {
  return await countSince(session, snapshot, ['committed']);
}

async function countSince(
  session: PostgresSession,
  snapshot: string,
  states: readonly string[],
): Promise<number> {
  const [row] = await session.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM (
       SELECT pg_snapshot_xip($1::pg_snapshot) AS xid
       UNION SELECT number::text::xid8 FROM generate_series(
         pg_snapshot_xmax($1::pg_snapshot)::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1) AS number
     ) AS running WHERE pg_xact_status(xid) = ANY ($2)`,
    [snapshot, states],
  );
  return row!.count;
}
