import type { PostgresSession } from '../../port.ts';
import { qualified, type TableSize } from './plan.ts';

/**
 * All tables whose rows a dump has, in the snapshot of the session. Partitions are tables of their own, and pg_dump takes them so.
 * Those of extensions are dumped by rules of theirs (`pg_extension_config_dump`) and stay in the rest.
 */
export async function tableSizes(session: PostgresSession): Promise<TableSize[]> {
  return await session.query<TableSize & Record<string, unknown>>(`
    SELECT n.nspname::text AS schema, c.relname::text AS name, pg_table_size(c.oid) AS bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND ${OWN} ORDER BY 1, 2`);
}

/**
 * Takes what pg_dump itself takes, for all tables and as long as they are held: lanes and measurements begin at different times, and a
 * table must not change in between. Errors: SQLSTATE 55P03 after the session's lock_timeout, 42P01 when one is gone.
 */
export async function lockTables(session: PostgresSession): Promise<void> {
  const tables = await session.query<{ schema: string; name: string }>(`
    SELECT n.nspname::text AS schema, c.relname::text AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND ${OWN} ORDER BY 1, 2`);
  if (tables.length === 0) return;
  await session.query(
    `LOCK TABLE ${tables.map((table) => `ONLY ${qualified(table)}`).join(', ')} IN ACCESS SHARE MODE`,
  );
}

const OWN = `c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`;
