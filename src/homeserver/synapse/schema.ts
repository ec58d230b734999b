import type { PostgresSession } from '../../database/port.ts';

/** Columns by table of the schema `public`. Synapse's tables gain columns from release to release, so queries ask first. */
export type Schema = ReadonlyMap<string, ReadonlySet<string>>;

export async function readSchema(session: PostgresSession): Promise<Schema> {
  const rows = await session.query<{ table_name: string; columns: string[] }>(
    `SELECT c.relname AS table_name, array_agg(a.attname::text) AS columns
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') GROUP BY c.relname`,
  );
  return new Map(rows.map(({ table_name, columns }) => [table_name, new Set(columns)]));
}

export function hasColumn(schema: Schema, table: string, column: string): boolean {
  return schema.get(table)?.has(column) ?? false;
}
