import type { PostgresSession } from '../port.ts';

export interface IndexState {
  readonly name: string;
  readonly bytes: number;
  readonly valid: boolean;
  /** Of B-tree indexes on plain columns, from the statistics; `null` where that cannot be told. */
  readonly bloatPercent: number | null;
}

/**
 * Every index of the schema `public`, the largest first. The estimate is the usual one for B-trees: what the rows would take in
 * pages that are 90 % full, from the average widths that ANALYZE has found, against the pages that are there (as in pgsql-bloat-estimation).
 * An entry has 8 bytes of header, its columns rounded up to 8, and 4 bytes of pointer; a page 24 of header and 16 of its own.
 */
export async function indexStates(session: PostgresSession): Promise<IndexState[]> {
  return await session.query<IndexState & Record<string, unknown>>(
    `SELECT name, bytes, valid, CASE WHEN btree AND wanted IS NOT NULL AND pages > 1 AND entries > 0
       THEN greatest(0, round(100 * (1 - wanted / pages)))::int END AS "bloatPercent"
     FROM (
       SELECT c.relname::text AS name, pg_relation_size(c.oid) AS bytes, i.indisvalid AS valid,
         am.amname = 'btree' AS btree, c.relpages AS pages, c.reltuples AS entries,
         1 + ceil(c.reltuples * (8 + 4 + ceil((
           SELECT CASE WHEN count(*) = i.indnatts THEN sum(s.avg_width * (1 - s.null_frac)) END
           FROM unnest(i.indkey::int2[]) AS key
           JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = key
           JOIN pg_stats s ON s.schemaname = 'public' AND s.tablename = t.relname AND s.attname = a.attname
         ) / 8) * 8) / ((8192 - 24 - 16) * 0.9)) AS wanted
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
         JOIN pg_am am ON am.oid = c.relam
       WHERE c.relnamespace = 'public'::regnamespace
     ) AS estimated ORDER BY bytes DESC, name`,
  );
}
