import type { PostgresTarget } from '../port.ts';
import { openSnapshot, type DatabaseSnapshot, type SnapshotOptions } from './snapshot.ts';

export interface SnapshotsTogether extends AsyncDisposable {
  /** In the order of the targets. */
  readonly snapshots: readonly DatabaseSnapshot[];
  /** Write-ahead log position of each server right after its snapshot was taken: `0/16B3748`; on a standby what it had replayed. */
  readonly walPositions: readonly string[];
  /**
   * No two of the instants are further apart than so many ms, by our clock: from the first that was asked to take its snapshot
   * to the last that had it. Those of several servers cannot be compared otherwise.
   */
  readonly skewMs: number;
}

const POSITION = `SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn`;

/**
 * A snapshot of each database, all taken at once when the last connection stands: an exported snapshot is of one database, and
 * PostgreSQL has none of several. Errors: as `openSnapshot`, the first; then none is left open.
 */
export async function openSnapshotsTogether(
  targets: readonly PostgresTarget[],
  runId: string,
  options: Pick<SnapshotOptions, 'lockTimeoutMs'> = {},
  /** How the first is opened: the homeserver's. */
  openFirst = openSnapshot,
): Promise<SnapshotsTogether> {
  let [waiting, released] = [targets.length, 0];
  const gate = Promise.withResolvers<void>();
  const release = () => {
    released ||= performance.now();
    gate.resolve();
  };
  const whenConnected = () => {
    waiting -= 1;
    if (waiting === 0) release();
    return gate.promise;
  };
  const opening = await Promise.allSettled(
    targets.map(async (target, index) => {
      const open = index === 0 ? openFirst : openSnapshot;
      try {
        return await open(target, runId, { ...options, whenConnected });
      } finally {
        // Who cannot connect must not keep the others waiting.
        release();
      }
    }),
  );
  const skewMs = Math.ceil(performance.now() - released);
  const snapshots = opening.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const dispose = async () => {
    for (const snapshot of snapshots) await snapshot[Symbol.asyncDispose]();
  };
  const failed = opening.find((one) => one.status === 'rejected');
  try {
    if (failed !== undefined) throw failed.reason;
    const walPositions = await Promise.all(
      snapshots.map(async ({ session }) => (await session.query<{ lsn: string }>(POSITION))[0]?.lsn ?? ''),
    );
    return { snapshots, walPositions, skewMs, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
