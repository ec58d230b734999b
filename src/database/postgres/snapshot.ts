import { LifeboatError } from '../../core/errors.ts';
import type { PostgresSession, PostgresTarget } from '../port.ts';
import { connect } from './connect.ts';

/** One instant of the database, which several readers can share as long as it is open. */
export interface DatabaseSnapshot extends AsyncDisposable {
  /** A session inside the snapshot. */
  readonly session: PostgresSession;
  /** For `pg_dump --snapshot`. */
  readonly snapshotId: string;
  readonly takenAt: Date;
}

/**
 * Opens a transaction and exports its snapshot (Postgres manual, "Snapshot Synchronization Functions"). Works on a standby
 * too. Sequences are not part of a snapshot: they are read later and can only be ahead of the rows, which is the safe side.
 */
export async function openSnapshot(target: PostgresTarget, runId: string): Promise<DatabaseSnapshot> {
  const session = await connect(target, { applicationName: `lifeboat:${runId}:snapshot` });
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const [row] = await session.query<{ id: string; taken: Date }>(
      'SELECT pg_export_snapshot() AS id, now() AS taken',
    );
    if (row === undefined)
      throw new LifeboatError('database-dump-failed', 'the database exported no snapshot');
    return { session, snapshotId: row.id, takenAt: row.taken, [Symbol.asyncDispose]: session.close };
  } catch (error) {
    await session.close();
    throw error;
  }
}
