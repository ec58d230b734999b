import { formatBytes, formatDuration } from '../../core/units.ts';
import type { PostgresSession } from '../port.ts';

/** What tells how much vacuum has to do. */
export interface VacuumState {
  /** Ms since the epoch, by the server. */
  readonly at: number;
  /** Number of the next transaction. */
  readonly nextXid: number;
  readonly sizeBytes: number;
  readonly tables: Readonly<Record<string, { readonly dead: number; readonly live: number }>>;
}

/** Readable by everybody. The tables are those with the most dead rows: others cannot have grown into a problem. */
export async function vacuumState(session: PostgresSession): Promise<VacuumState> {
  const [row] = await session.query<{ at: string; xid: string; size: number }>(
    `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS at, pg_snapshot_xmax(pg_current_snapshot())::text AS xid,
            pg_database_size(current_database()) AS size`,
  );
  const tables = await session.query<{ name: string; dead: number; live: number }>(
    `SELECT schemaname || '.' || relname AS name, n_dead_tup AS dead, n_live_tup AS live FROM pg_stat_user_tables`,
  );
  return {
    at: Number(row!.at),
    nextXid: Number(row!.xid),
    sizeBytes: Number(row!.size),
    tables: Object.fromEntries(tables.map(({ name, dead, live }) => [name, { dead, live }])),
  };
}

/** A twentieth of autovacuum_freeze_max_age (200 million): above, we are part of the way to an anti-wraparound vacuum. */
const MANY_XIDS = 10_000_000;
/** autovacuum_vacuum_scale_factor: with more dead rows than this autovacuum starts, and could remove none of them. */
const DEAD_SHARE = 0.2;
/** Less is vacuumed away within a second. */
const DEAD_ROWS = 50_000;

/** A warning with figures when what our snapshot held back is worth one. Pure. */
export function vacuumWarning(before: VacuumState, after: VacuumState): string | undefined {
  const xids = after.nextXid - before.nextXid;
  const swollen = Object.entries(after.tables)
    .map(([name, { dead, live }]) => ({ name, grown: dead - (before.tables[name]?.dead ?? 0), live }))
    .filter(({ grown, live }) => grown >= DEAD_ROWS && grown >= live * DEAD_SHARE)
    .toSorted((a, b) => b.grown - a.grown);
  if (xids < MANY_XIDS && swollen.length === 0) return undefined;
  const hottest = swollen
    .slice(0, 3)
    .map(({ name, grown, live }) => `${name} ${grown} beside ${live} live ones`);
  const dead = hottest.length === 0 ? '' : `, dead rows that could not be removed: ${hottest.join(', ')}`;
  const size = after.sizeBytes - before.sizeBytes;
  return `the snapshot held back vacuum for ${formatDuration(after.at - before.at)} and ${xids} transactions${dead}; the database grew by ${formatBytes(size)}. Back up from a standby, or when the server is quieter`;
}
