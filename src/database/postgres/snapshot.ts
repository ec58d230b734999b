import { LifeboatError } from '../../core/errors.ts';
import type { RecoveryTarget } from '../../repository/manifest.ts';
import type { PostgresSession, PostgresTarget } from '../port.ts';
import { connect } from './connect.ts';

/** One instant of the database, which several readers can share as long as it is open. */
export interface DatabaseSnapshot extends AsyncDisposable {
  /** A session inside the snapshot. */
  readonly session: PostgresSession;
  /** For `pg_dump --snapshot`. */
  readonly snapshotId: string;
  readonly takenAt: Date;
  /** Of its session on the server. */
  readonly pid: number;
  /** Only of `openRecoverableSnapshot`. */
  readonly recovery?: RecoveryPoint | undefined;
  /** Reads inside the snapshot, and gives back the locks on what was read: nobody has to wait for them until the end. */
  withoutLocks<T>(read: (session: PostgresSession) => Promise<T>): Promise<T>;
}

export interface SnapshotOptions {
  /** How long a statement waits for a table; 0: as long as it takes. */
  readonly lockTimeoutMs?: number | undefined;
  /** Is waited for between connecting and taking the snapshot. */
  readonly whenConnected?: (() => Promise<void>) | undefined;
}

/** Where in the WAL the snapshot stands, of which cluster. */
export interface RecoveryPoint {
  readonly target: RecoveryTarget;
  /** Read before it: a recovered sequence is never behind these. */
  readonly sequences: Readonly<Record<string, number>>;
  readonly systemId: string;
  readonly superuser: string;
}

/**
 * Opens a transaction and exports its snapshot (Postgres manual, "Snapshot Synchronization Functions"). Works on a standby
 * too. Sequences are not part of a snapshot: they are read later and can only be ahead of the rows, which is the safe side.
 */
export async function openSnapshot(
  target: PostgresTarget,
  runId: string,
  { lockTimeoutMs = 0, whenConnected = () => Promise.resolve() }: SnapshotOptions = {},
): Promise<DatabaseSnapshot> {
  const session = await connect(target, { applicationName: `lifeboat:${runId}:snapshot` });
  try {
    await session.query(settings(lockTimeoutMs));
    await whenConnected();
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const [row] = await session.query<{ id: string; taken: Date; pid: number }>(
      'SELECT pg_export_snapshot() AS id, now() AS taken, pg_backend_pid() AS pid',
    );
    if (row === undefined)
      throw new LifeboatError('database-dump-failed', 'the database exported no snapshot');
    return {
      session,
      snapshotId: row.id,
      takenAt: row.taken,
      pid: row.pid,
      withoutLocks: async (read) => {
        await session.query('SAVEPOINT reading');
        const found = await read(session);
        // Locks that were taken after a savepoint are released when it is rolled back (Postgres manual, "Explicit Locking").
        await session.query('ROLLBACK TO SAVEPOINT reading');
        return found;
      },
      [Symbol.asyncDispose]: session.close,
    };
  } catch (error) {
    await session.close();
    throw error;
  }
}

/**
 * Another session inside the same snapshot, to measure beside the dump. Ends at once when `signal` says so, whatever it is
 * measuring; the server then notices within a second (`client_connection_check_interval`, PostgreSQL 14 and newer).
 */
export async function joinSnapshot(
  target: PostgresTarget,
  snapshotId: string,
  options: {
    readonly runId: string;
    readonly lockTimeoutMs: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<PostgresSession> {
  options.signal?.throwIfAborted();
  const session = await connect(target, { applicationName: `lifeboat:${options.runId}:measure` });
  const end = () => void session.close().catch(() => undefined);
  options.signal?.addEventListener('abort', end, { once: true });
  const close = async () => {
    options.signal?.removeEventListener('abort', end);
    await session.close();
  };
  try {
    await session.query(settings(options.lockTimeoutMs));
    await session.query(
      `SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'`,
    );
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // SET takes no parameters.
    await session.query(`SET TRANSACTION SNAPSHOT '${snapshotId.replaceAll("'", "''")}'`);
    return { ...session, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** An index can count rows that a damaged table does not have any more, and that no dump will bring. */
function settings(lockTimeoutMs: number): string {
  return `SET lock_timeout = ${Math.round(lockTimeoutMs)}; SET enable_indexonlyscan = off`;
}
