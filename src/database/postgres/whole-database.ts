import type { PostgresSession } from '../port.ts';
import { identifier, type SchemaInvariants } from './invariants.ts';

/** All schemas but PostgreSQL's own. */
const OURS = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%'`;
/** What belongs to an extension is made by CREATE EXTENSION, and may differ with its version. */
const OWN = (oid: string) =>
  `NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = ${oid} AND e.classid = 'pg_class'::regclass AND e.deptype = 'e')`;

/**
 * As `measureInvariants`, of a database that nothing is known of: every schema, and names with theirs (`public.users`).
 */
export async function measureWholeDatabase(session: PostgresSession): Promise<SchemaInvariants> {
  const names = async (sql: string) =>
    (await session.query<{ name: string }>(sql)).map(({ name }) => name).toSorted();
  const tableRows: Record<string, number> = {};
  const tables = await session.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND ${OURS} AND ${OWN('c.oid')} ORDER BY 1, 2`,
  );
  for (const { schema, name } of tables) {
    const [row] = await session.query<{ rows: number }>(
      `SELECT count(*) AS rows FROM ${identifier(schema)}.${identifier(name)}`,
    );
    tableRows[`${schema}.${name}`] = row?.rows ?? 0;
  }
  const sequences = await session.query<{ name: string; value: number }>(
    `SELECT n.nspname || '.' || s.sequencename AS name, coalesce(s.last_value, 0) AS value
     FROM pg_sequences s JOIN pg_namespace n ON n.nspname = s.schemaname WHERE ${OURS} ORDER BY 1`,
  );
  return {
    tableRows,
    sequences: Object.fromEntries(sequences.map(({ name, value }) => [name, Number(value)])),
    indexes: await names(
      `SELECT n.nspname || '.' || c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${OURS} AND i.indisvalid AND ${OWN('i.indrelid')}`,
    ),
    // NOT NULL: see invariants.ts.
    constraints: await names(
      `SELECT n.nspname || '.' || t.relname || '.' || c.conname AS name FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
       JOIN pg_namespace n ON n.oid = t.relnamespace WHERE ${OURS} AND c.contype <> 'n' AND ${OWN('t.oid')}`,
    ),
    triggers: await names(
      `SELECT n.nspname || '.' || t.relname || '.' || g.tgname AS name FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
       JOIN pg_namespace n ON n.oid = t.relnamespace WHERE ${OURS} AND NOT g.tgisinternal AND ${OWN('t.oid')}`,
    ),
  };
}

/** Databases of the same cluster besides this one, templates and `postgres`; bytes where the role may know them. */
export async function otherDatabasesOfCluster(
  session: PostgresSession,
): Promise<{ readonly name: string; readonly bytes: number | null }[]> {
  return await session.query<{ name: string; bytes: number | null }>(
    `SELECT datname AS name, CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END AS bytes
     FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname NOT IN (current_database(), 'postgres') ORDER BY 1`,
  );
}
