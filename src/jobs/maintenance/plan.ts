import type { Config } from '../../config/index.ts';
import type { Clock } from '../../core/clock.ts';
import { LifeboatError } from '../../core/errors.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import { indexStates, type IndexState } from '../../database/index.ts';
import type { PostgresSession } from '../../database/port.ts';

/** One thing to be done. Pure data: `--dry-run` prints it. */
export type Task =
  | {
      readonly kind: 'purge-media-cache';
      readonly title: string;
      readonly destructive: true;
      readonly beforeMs: number;
    }
  | {
      readonly kind: 'purge-history';
      readonly title: string;
      readonly destructive: true;
      readonly room: string;
      readonly beforeMs: number;
      readonly deleteLocalEvents: boolean;
    }
  | { readonly kind: 'reindex'; readonly title: string; readonly destructive: false; readonly index: string }
  | {
      readonly kind: 'vacuum';
      readonly title: string;
      readonly destructive: false;
      readonly tables: readonly string[];
    };

export interface MaintenancePlan {
  readonly tasks: readonly Task[];
  /** Indexes that a REINDEX or CREATE INDEX CONCURRENTLY has left behind when it failed: they cost writes and serve nobody. */
  readonly leftovers: readonly string[];
}

/** Smaller ones are not worth it, and the estimate is rough for them. */
const BLOATED_FROM_BYTES = 10 * 1024 * 1024;

/** In the order in which they help each other: what is purged first leaves what vacuum frees. Errors: `maintenance-failed`. */
export async function planMaintenance(
  settings: Config['maintenance'],
  session: PostgresSession,
  clock: Clock,
): Promise<MaintenancePlan> {
  const states = await indexStates(session);
  const tasks: Task[] = [];
  const now = clock.now().getTime();
  if (settings.purgeMediaCacheMs !== undefined) tasks.push(mediaCacheTask(settings.purgeMediaCacheMs, now));
  for (const { room, olderThanMs, deleteLocalEvents } of settings.purgeHistory) {
    const beforeMs = now - olderThanMs;
    const events = await eventsBefore(session, room, beforeMs);
    const which = deleteLocalEvents
      ? 'with those of own users, which no other server may have'
      : 'but not those of own users';
    const title = `purge from ${room} at most ${events} events older than ${formatDuration(olderThanMs)}, ${which}`;
    tasks.push({ kind: 'purge-history', title, destructive: true, room, beforeMs, deleteLocalEvents });
  }
  for (const { name, bytes, bloatPercent } of indexesToBuild(settings, states)) {
    const empty = bloatPercent === null ? '' : `, about ${bloatPercent} % empty`;
    tasks.push({
      kind: 'reindex',
      title: `build index ${name} anew (${formatBytes(bytes)}${empty})`,
      destructive: false,
      index: name,
    });
  }
  if (settings.vacuum) tasks.push(await vacuumTask(session));
  const leftovers = states.filter(({ valid }) => !valid).map(({ name }) => name);
  return { tasks, leftovers };
}

export function mediaCacheTask(olderThanMs: number, now: number): Task & { kind: 'purge-media-cache' } {
  const title = `remove cached media of other servers that nobody asked for in ${formatDuration(olderThanMs)}`;
  return { kind: 'purge-media-cache', title, destructive: true, beforeMs: now - olderThanMs };
}

function indexesToBuild(
  { reindex, reindexBloated }: Config['maintenance'],
  states: readonly IndexState[],
): IndexState[] {
  const missing = reindex.filter((name) => !states.some((state) => state.name === name));
  if (missing.length > 0)
    throw new LifeboatError(
      'maintenance-failed',
      `the database has no index ${missing.join(', ')} in the schema public`,
      {
        hint: 'Correct maintenance.reindex in lifeboat.yaml.',
      },
    );
  return states.filter(
    ({ name, bytes, valid, bloatPercent }) =>
      reindex.includes(name) ||
      (valid &&
        reindexBloated !== undefined &&
        bytes >= BLOATED_FROM_BYTES &&
        (bloatPercent ?? 0) >= reindexBloated),
  );
}

async function vacuumTask(session: PostgresSession): Promise<Task> {
  const rows = await session.query<{ name: string; dead: number; own: boolean }>(
    `SELECT relname::text AS name, n_dead_tup AS dead, pg_has_role(tableowner, 'USAGE') AS own
     FROM pg_stat_user_tables JOIN pg_tables USING (schemaname) WHERE schemaname = 'public' AND tablename = relname ORDER BY 1`,
  );
  const foreign = rows.filter(({ own }) => !own);
  if (foreign.length > 0)
    throw new LifeboatError(
      'database-denied',
      `${foreign.length} tables belong to somebody else, such as ${foreign[0]!.name}`,
      {
        hint: 'Maintenance connects as the homeserver does, by its own configuration: that role must own the tables.',
      },
    );
  const dead = rows.reduce((sum, row) => sum + Number(row.dead), 0);
  const title = `vacuum and analyze ${rows.length} tables with about ${dead} dead rows`;
  return { kind: 'vacuum', title, destructive: false, tables: rows.map(({ name }) => name) };
}

async function eventsBefore(session: PostgresSession, room: string, beforeMs: number): Promise<number> {
  const [row] = await session.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM events WHERE room_id = $1 AND received_ts < $2',
    [room, Math.round(beforeMs)],
  );
  return row!.count;
}
