import { LifeboatError } from '../../../core/errors.ts';
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
 * table must not change in between. Errors: SQLSTATE 55P03 after the session's lock_timeout, 42P01 when one is gone,
 * `database-dump-failed` with `context.schema` when one was emptied or rewritten since the snapshot was taken.
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
  await requireSameFiles(session);
}

/**
 * TRUNCATE and what ALTER TABLE rewrites are not of one mind with older snapshots: to these the table is empty, to a dump as to
 * whoever counts its rows (Postgres manual, "Concurrency Control", "Caveats"). Both give the table a new file. The row of pg_class is read
 * as of the snapshot, pg_relation_filenode() answers as of now. Only under the locks does it stay so. VACUUM FULL and CLUSTER look the same, though
 * they leave the rows to old snapshots: then it is begun again without need.
 */
async function requireSameFiles(session: PostgresSession): Promise<void> {
  const exchanged = await session.query<{ schema: string; name: string }>(`
    SELECT n.nspname::text AS schema, c.relname::text AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND ${OWN} AND c.relfilenode IS DISTINCT FROM pg_relation_filenode(c.oid) ORDER BY 1, 2`);
  if (exchanged.length === 0) return;
  const names = exchanged.slice(0, 5).map(qualified).join(', ');
  throw new LifeboatError(
    'database-dump-failed',
    `emptied or rewritten since the snapshot was taken, which therefore does not see their rows: ${names}`,
    {
      hint: 'Let the upgrade of the homeserver and its background updates finish, then run the backup again.',
      context: { schema: true, tables: exchanged.length },
    },
  );
}

const OWN = `c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`;
