import { setTimeout as sleep } from 'node:timers/promises';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import type { PostgresSession } from '../port.ts';

/** How often it is looked who waits. A look takes about a millisecond. */
const LOOK_EVERY_MS = 500;

/**
 * Sessions that wait for a table, directly or behind others, because of what ours have locked. From pg_locks, which shows
 * every session to everybody; pg_stat_activity hides those of other roles from whoever is not in pg_read_all_stats. Who waits for our transaction only
 * (CREATE INDEX CONCURRENTLY) holds nobody up and is not among them; nor is a standby's start-up process, which has no user
 * and whose patience is max_standby_streaming_delay.
 */
const WAITING = `
  WITH RECURSIVE ours AS (
    SELECT pid FROM pg_stat_activity WHERE application_name LIKE $1 AND pid <> pg_backend_pid()
  ), waits AS (
    SELECT DISTINCT l.pid, b.pid AS blocker FROM pg_locks l, unnest(pg_blocking_pids(l.pid)) AS b(pid) WHERE NOT l.granted
  ), behind AS (
    SELECT pid FROM waits WHERE blocker IN (SELECT pid FROM ours)
    UNION SELECT w.pid FROM waits w JOIN behind ON w.blocker = behind.pid
  )
  SELECT DISTINCT l.pid, l.relation::regclass::text AS "table" FROM behind JOIN pg_locks l USING (pid) JOIN pg_stat_activity a USING (pid)
  WHERE NOT l.granted AND l.locktype = 'relation' AND a.usesysid IS NOT NULL AND l.pid NOT IN (SELECT pid FROM ours)`;

export interface GuardOptions {
  /** Application names of our sessions begin with it: `lifeboat:1a2b3c4d:`. */
  readonly prefix: string;
  /** Nobody waits longer because of us. */
  readonly yieldAfterMs: number;
  /** The session that holds the snapshot: without it the run cannot be finished. None where each snapshot ends with its dump. */
  readonly holder?: { readonly pid: number; readonly session: PostgresSession } | undefined;
}

export interface PileUpGuard extends AsyncDisposable {
  /** Aborted when the run must end; its reason is the error to tell. */
  readonly signal: AbortSignal;
}

/** Whether it was ended because of those who waited. */
export function isYield(error: unknown): boolean {
  return (
    error instanceof LifeboatError &&
    error.code === 'database-dump-failed' &&
    error.context['yielded'] === true
  );
}

/**
 * Ends all of our sessions as soon as somebody has waited behind them for too long: a schema change that waits for a dump makes
 * every query after it wait as well, so that the homeserver would stand still until the dump is done. A terminated backend
 * gives its locks back at once, whatever pg_dump is doing. Those of another role may not be ended so, and one refusal would end none:
 * they are closed from our side, by whoever heeds `signal`. `session` is used by nobody else.
 */
export function guardAgainstPileUp(session: PostgresSession, options: GuardOptions): PileUpGuard {
  const { holder } = options;
  const abort = new AbortController();
  const since = new Map<number, number>();
  const stopped = new AbortController();

  const look = async (): Promise<LifeboatError | undefined> => {
    const waiting = await session.query<{ pid: number; table: string }>(WAITING, [`${options.prefix}%`]);
    const now = performance.now();
    const pids = new Set(waiting.map(({ pid }) => pid));
    for (const pid of since.keys()) if (!pids.has(pid)) since.delete(pid);
    for (const pid of pids) if (!since.has(pid)) since.set(pid, now);
    const longest = now - Math.min(now, ...since.values());
    if (longest < options.yieldAfterMs)
      return holder === undefined || (await isThere(holder.pid))
        ? undefined
        : await holderLost(holder.session);
    await session.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE $1 AND pid <> pg_backend_pid()
         AND usename = current_user`,
      [`${options.prefix}%`],
    );
    return yielded(pids.size, [...new Set(waiting.map(({ table }) => table))], longest);
  };
  const isThere = async (pid: number) =>
    (await session.query('SELECT FROM pg_stat_activity WHERE pid = $1', [pid])).length > 0;

  const watching = (async () => {
    while (!stopped.signal.aborted) {
      const reason = await look().catch((error: unknown) => guardLost(error));
      if (reason !== undefined && !stopped.signal.aborted) {
        abort.abort(reason);
        return;
      }
      const pause = Math.min(LOOK_EVERY_MS, options.yieldAfterMs);
      await sleep(pause, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  })();
  return {
    signal: abort.signal,
    [Symbol.asyncDispose]: async () => {
      stopped.abort();
      await watching;
    },
  };
}

function yielded(sessions: number, tables: readonly string[], waitedMs: number): LifeboatError {
  const who = `${sessions} ${sessions === 1 ? 'session' : 'sessions'} waited ${(waitedMs / 1000).toFixed(1)} s behind the backup for ${tables.slice(0, 5).join(', ')}`;
  return new LifeboatError('database-dump-failed', `${who}, so that the backup gave way`, {
    hint: 'Let the change of the schema finish, then run the backup again. How long others may wait is database.yield_after.',
    context: { yielded: true, sessions, waitedMs: Math.round(waitedMs) },
  });
}

/** The server has told the session why, such as a conflict with recovery. */
async function holderLost(holder: PostgresSession): Promise<LifeboatError> {
  const cause = await holder.query('SELECT 1').then(
    () => undefined,
    (error: unknown) => error,
  );
  return new LifeboatError(
    'database-dump-failed',
    `the session that holds the snapshot was ended${cause === undefined ? '' : `: ${messageOf(cause)}`}`,
    {
      hint: 'Look into the log of PostgreSQL for who did it.',
      cause,
      context: { lost: true },
    },
  );
}

function guardLost(cause: unknown): LifeboatError {
  return new LifeboatError(
    'database-dump-failed',
    `the connection to the database was lost: ${messageOf(cause)}`,
    {
      cause,
      context: { lost: true },
    },
  );
}
