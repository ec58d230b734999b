import type { PostgresSession } from '../port.ts';

/** Where the dump comes from. */
export interface SourceState {
  readonly source: 'primary' | 'standby';
  /** Of a standby: what it had replayed when the snapshot was taken. */
  readonly replayLsn?: string;
  /** Age of the last transaction that it had replayed; of an idle primary it grows although nothing is missing. */
  readonly replayLagSeconds?: number;
}

export async function sourceState(session: PostgresSession): Promise<SourceState> {
  const [row] = await session.query<{ standby: boolean; lsn: string | null; lag: string | null }>(
    `SELECT pg_is_in_recovery() AS standby, pg_last_wal_replay_lsn()::text AS lsn,
            round(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::numeric, 1)::text AS lag`,
  );
  if (row?.standby !== true) return { source: 'primary' };
  return {
    source: 'standby',
    ...(row.lsn === null ? {} : { replayLsn: row.lsn }),
    ...(row.lag === null ? {} : { replayLagSeconds: Math.max(0, Number(row.lag)) }),
  };
}
