import { LifeboatError } from '../../core/errors.ts';
import type { PostgresSession, PostgresTarget } from '../port.ts';
import { connect } from './connect.ts';
import { identifier, literal } from './invariants.ts';

/** Every table, view and sequence outside the system's schemas. */
async function userTables(session: PostgresSession): Promise<string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
       AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

/**
 * A restore over existing tables duplicates rows and half-fails (Synapse upgrade notes v1.60, matrix-org/synapse #11779).
 * Errors: `target-not-empty`.
 */
export async function assertEmpty(session: PostgresSession, target: PostgresTarget): Promise<void> {
  const tables = await userTables(session);
  if (tables.length === 0) return;
  const some = tables.slice(0, 5).join(', ');
  throw new LifeboatError(
    'target-not-empty',
    `the database ${target.database} holds ${tables.length} relations already: ${some}${tables.length > 5 ? ', ...' : ''}`,
    {
      hint: 'Restore into a new database: createdb --encoding=UTF8 --locale=C --template=template0 --owner=USER NAME',
      context: { database: target.database, relations: tables.length },
    },
  );
}

export interface DatabaseLocale {
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
}

/** From template0; UTF8 with locale C, as Synapse demands (its docs/postgres.md), where nothing else is said. */
export async function createDatabase(
  admin: PostgresTarget,
  name: string,
  owner: string,
  { encoding, collate, ctype }: DatabaseLocale = { encoding: 'UTF8', collate: 'C', ctype: 'C' },
): Promise<void> {
  await using session = await connect(admin, { applicationName: 'lifeboat:create' });
  await session.query(
    `CREATE DATABASE ${identifier(name)} OWNER ${identifier(owner)} TEMPLATE template0
     ENCODING ${literal(encoding)} LC_COLLATE ${literal(collate)} LC_CTYPE ${literal(ctype)}`,
  );
}
