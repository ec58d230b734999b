import { assertEmpty, connect, createDatabase, databaseInfo } from '../database/index.ts';
import type { PostgresSession, PostgresTarget } from '../database/port.ts';
import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import type { RestoreContext } from './context.ts';
import type { Journal } from './journal.ts';

/** Of a restore that was killed: the server goes on with its last statement, which can take hours (CREATE INDEX). */
const OWN_SESSION = `usename = current_user AND application_name = 'lifeboat:restore'`;
const END_TIMEOUT_MS = 10_000;

/**
 * Looks whether a real restore may begin or go on in this database, and changes nothing.
 * Errors: `target-not-empty`, `target-unfit`, `target-alive`, `database-*`.
 */
export async function requireFreeDatabase(
  database: PostgresTarget,
  journal: Journal,
  fit: 'homeserver' | 'other' = 'homeserver',
): Promise<void> {
  await using session = await connect(database, {
    applicationName: 'lifeboat:restore',
    database: 'restored',
  });
  const marked = await isMarked(session, journal);
  if (!marked) {
    await assertEmpty(session, database);
    // Somebody has made it anew since.
    await journal.forget('restore-database');
  }
  if (fit === 'homeserver') await requireLocale(session, database);
  await requirePlainRole(session, database);
  await refuseOtherSessions(session, database.database, marked ? OWN_SESSION : 'false');
}

/** What would only be found out when everything is loaded. */
async function requireLocale(session: PostgresSession, { database, user }: PostgresTarget): Promise<void> {
  const { encoding, collate, ctype } = await databaseInfo(session);
  if (`${encoding} ${collate} ${ctype}` !== 'UTF8 C C') {
    throw new LifeboatError(
      'target-unfit',
      `database ${database} has encoding ${encoding}, collation ${collate} and character type ${ctype}; the homeserver wants UTF8, C and C`,
      {
        hint: `Drop it, and make it anew: createdb --encoding=UTF8 --locale=C --template=template0 --owner=${user} ${database}`,
        context: { database },
      },
    );
  }
}

async function requirePlainRole(session: PostgresSession, { database, user }: PostgresTarget): Promise<void> {
  const [role] = await session.query<{ rolsuper: boolean }>(
    'SELECT rolsuper FROM pg_roles WHERE rolname = current_user',
  );
  if (role?.rolsuper !== true) return;
  throw new LifeboatError(
    'target-unfit',
    `role ${user} is a superuser: code in a dump that somebody has tampered with would run with all its power`,
    {
      hint: 'Restore as a plain role that owns the database: createuser --pwprompt synapse_new, then createdb with --owner=synapse_new.',
      context: { database, role: user },
    },
  );
}

/**
 * Makes sure that the database is there and empty. The only relations ever dropped are those of our own unfinished restore:
 * the journal says that it was begun, and the database bears its mark.
 * Errors: `target-not-empty`, `target-alive`, `database-*`.
 */
export async function claimEmptyDatabase(context: RestoreContext): Promise<void> {
  const { target, journal } = context;
  await using session = await openOrCreate(context);
  const marked = await isMarked(session, journal);
  if (marked) await endOwnSessions(session);
  await refuseOtherSessions(session, target.database.database);
  if (marked) {
    await session.query('DROP SCHEMA public CASCADE');
    await session.query('CREATE SCHEMA public');
    return;
  }
  await assertEmpty(session, target.database);
  if (journal !== undefined) await mark(session, markFor(journal.restoreId));
}

async function openOrCreate({ target }: RestoreContext): Promise<PostgresSession> {
  const options = { applicationName: 'lifeboat:restore' };
  if (target.admin === undefined) return connect(target.database, options);
  try {
    return await connect(target.database, options);
  } catch (error) {
    if (!isLifeboatError(error, 'database-unreachable')) throw error;
  }
  await createDatabase(target.admin, target.database.database, target.database.user);
  return connect(target.database, options);
}

/** A homeserver that is connected would write while we restore. */
async function refuseOtherSessions(
  session: PostgresSession,
  database: string,
  besides = 'false',
): Promise<void> {
  const others = await session.query<{ name: string }>(
    `SELECT coalesce(nullif(application_name, ''), usename::text, 'unnamed') AS name FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
       AND NOT (${besides})`,
  );
  if (others.length === 0) return;
  const names = [...new Set(others.map(({ name }) => name))].join(', ');
  throw new LifeboatError(
    'target-alive',
    `${others.length} other sessions use the database ${database}: ${names}`,
    {
      hint: 'Stop the homeserver and whatever else is connected, then run the restore again.',
      context: { database, sessions: others.length },
    },
  );
}

async function endOwnSessions(session: PostgresSession): Promise<void> {
  await session.query(
    `SELECT pg_terminate_backend(pid, ${END_TIMEOUT_MS}) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND ${OWN_SESSION}`,
  );
}

async function isMarked(session: PostgresSession, journal: Journal | undefined): Promise<boolean> {
  return journal !== undefined && (await markOf(session)) === markFor(journal.restoreId);
}

function markFor(restoreId: string): string {
  return `lifeboat restore ${restoreId} is not finished`;
}

async function markOf(session: PostgresSession): Promise<string | null> {
  const [row] = await session.query<{ mark: string | null }>(
    `SELECT shobj_description(oid, 'pg_database') AS mark FROM pg_database WHERE datname = current_database()`,
  );
  return row?.mark ?? null;
}

async function mark(session: PostgresSession, text: string): Promise<void> {
  // Only the owner can; that is who restores. The name comes from the server, the text from us.
  await session.query(
    `DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), '${text}'); END $$`,
  );
}

/** The restore is finished: from now on nothing in this database is ours to drop. */
export async function removeMark(database: PostgresTarget, journal: Journal): Promise<void> {
  await using session = await connect(database, { applicationName: 'lifeboat:restore' });
  if (!(await isMarked(session, journal))) return;
  await session.query(
    `DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS NULL', current_database()); END $$`,
  );
}
