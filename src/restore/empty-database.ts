import { assertEmpty, connect, createDatabase } from '../database/index.ts';
import type { PostgresSession } from '../database/port.ts';
import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import type { RestoreContext } from './context.ts';

/**
 * Makes sure that the database is there and empty. The only relations ever dropped are those of our own unfinished restore:
 * the journal says that it was begun, and the database bears its mark.
 * Errors: `target-not-empty`, `target-alive`, `database-*`.
 */
export async function claimEmptyDatabase(context: RestoreContext): Promise<void> {
  const { target, journal } = context;
  await using session = await openOrCreate(context);
  await refuseOtherSessions(session, target.database.database);
  if (journal !== undefined && (await markOf(session)) === markFor(journal.restoreId)) {
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
async function refuseOtherSessions(session: PostgresSession, database: string): Promise<void> {
  const others = await session.query<{ name: string }>(
    `SELECT coalesce(nullif(application_name, ''), usename::text, 'unnamed') AS name FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
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

/** The restore of the database is finished: the next one would find it full, not half done. */
export async function removeMark(session: PostgresSession): Promise<void> {
  await session.query(
    `DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS NULL', current_database()); END $$`,
  );
}
