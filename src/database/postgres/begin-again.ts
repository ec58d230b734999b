import { LifeboatError, messageOf } from '../../core/errors.ts';
import type { PostgresSession } from '../port.ts';
import { isYield } from './pile-up.ts';
import { isSchemaChange } from './schema-change.ts';

/**
 * Why the same can succeed from a new snapshot:
 *   pile-up  somebody waited behind us
 *   lock     somebody holds a table exclusively
 *   standby  what the standby replayed took away what our snapshot sees
 *   lost     the server was restarted, or our session was ended
 *   schema   tables, columns or indexes came and went
 */
export type Setback = 'pile-up' | 'lock' | 'standby' | 'lost' | 'schema';

/** SQLSTATE 55P03, or what pg_dump prints of its --lock-wait-timeout. */
const LOCK = /lock timeout|statement timeout[^]*LOCK TABLE/i;
/** Postgres manual, "Hot Standby: Handling Query Conflicts"; a session that is ended says the same. */
const CONFLICT = /conflict with recovery/i;
/** Shutdown and crash of the server, and what libpq and node-postgres say of a connection that is gone. */
const LOST_STATES = new Set(['57P01', '57P02', '57P03', 'ECONNRESET', 'EPIPE']);
const LOST =
  /terminating connection|server closed the connection|connection terminated|connection to server .* (?:was lost|failed)|no connection to the server|the database system is/i;

/** Undefined: it would fail again. Pure. */
export function setbackOf(error: unknown): Setback | undefined {
  if (isYield(error)) return 'pile-up';
  const chain = causes(error);
  const some = (pattern: RegExp) => chain.some(({ message }) => pattern.test(message));
  const states = chain.map(({ code }) => code);
  if (some(CONFLICT)) return 'standby';
  if (states.includes('55P03') || some(LOCK)) return 'lock';
  const ended = chain.some((cause) => cause instanceof LifeboatError && cause.context['lost'] === true);
  if (ended || states.some((state) => LOST_STATES.has(state ?? '')) || some(LOST)) return 'lost';
  return isSchemaChange(error) ? 'schema' : undefined;
}

function causes(error: unknown): (Error & { code?: string })[] {
  return error instanceof Error ? [error, ...causes(error.cause)] : [];
}

/** Tables that somebody else holds so that nobody can read them, and who: `public.events (pid 4711, synapse)`. */
export async function exclusiveLocks(session: PostgresSession, prefix: string): Promise<string[]> {
  const rows = await session.query<{ table: string; pid: number; name: string | null }>(
    `SELECT DISTINCT l.relation::regclass::text AS "table", l.pid, nullif(coalesce(nullif(a.application_name, ''), a.usename), '') AS name
     FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
     WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND c.relkind IN ('r', 'p', 'm')
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND coalesce(a.application_name, '') NOT LIKE $1
     ORDER BY 1, 2 LIMIT 5`,
    [`${prefix}%`],
  );
  return rows.map(({ table, pid, name }) => `${table} (pid ${pid}${name === null ? '' : `, ${name}`})`);
}

/** Its current values, for the message: what lets a long query live on a standby. */
export async function standbyHint(session: PostgresSession): Promise<string> {
  const [row] = await session.query<{ delay: string; feedback: string }>(
    `SELECT current_setting('max_standby_streaming_delay') AS delay, current_setting('hot_standby_feedback') AS feedback`,
  );
  return `On the standby raise max_standby_streaming_delay (it is ${row?.delay}) above the length of a dump, or set hot_standby_feedback = on (it is ${row?.feedback}), which holds back vacuum on the primary.`;
}

/** What to say when it was given up. */
export function givenUp(
  setback: Setback,
  attempts: number,
  error: unknown,
  { database, locks, standby }: { database: string; locks: readonly string[]; standby: string | undefined },
): LifeboatError {
  const locked = locks.length === 0 ? '' : `; locked are ${locks.join(', ')}`;
  const told = messageOf(error);
  const words: Record<Setback, [problem: string, hint: string]> = {
    'pile-up': [
      `the backup of ${database} gave way in each of ${attempts} attempts: ${told}`,
      'Let the upgrade of the homeserver and its background updates finish, then run the backup again.',
    ],
    lock: [
      `a table of ${database} was locked in each of ${attempts} attempts${locked}: ${told}`,
      'Wait until the other session is done, or end it, then run the backup again. How long the backup waits is database.lock_timeout.',
    ],
    standby: [
      `the standby cancelled the dump of ${database} in each of ${attempts} attempts: ${told}`,
      standby ?? 'On the standby raise max_standby_streaming_delay, or set hot_standby_feedback = on.',
    ],
    lost: [
      `the connection to ${database} was lost in each of ${attempts} attempts: ${told}`,
      'Look into the log of PostgreSQL, then run the backup again.',
    ],
    schema: [
      `the schema of ${database} changed, or a table was locked, in each of ${attempts} attempts${locked}: ${told}`,
      'Let the upgrade of the homeserver and its background updates finish, then run the backup again.',
    ],
  };
  const [problem, hint] = words[setback];
  return new LifeboatError('database-dump-failed', problem, { hint, cause: error });
}
