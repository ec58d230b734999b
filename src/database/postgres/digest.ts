import type { PostgresSession } from '../port.ts';
import { identifier } from './invariants.ts';

/**
 * A digest of a table's content that does not depend on the order of rows: the sum of two 60-bit halves of each row's MD5.
 * Against accident and silent damage, not against an attacker (age and the manifest's SHA-256 are against those).
 * Computed by the server in one pass, nothing is transferred. 32 hex digits; of an empty table all zero.
 */
export async function tableDigest(
  session: PostgresSession,
  table: string,
  columns: readonly string[],
): Promise<string> {
  const row = `md5(ROW(${columns.map(identifier).join(', ')})::text)`;
  const half = (from: number) =>
    `coalesce(sum(('x' || substr(h, ${from}, 15))::bit(60)::bigint::numeric), 0) % 18446744073709551616`;
  const sql = `SELECT (${half(1)})::text AS a, (${half(17)})::text AS b FROM (SELECT ${row} AS h FROM public.${identifier(table)}) AS rows`;
  const [sums] = await session.query<{ a: string; b: string }>(sql);
  return [sums?.a, sums?.b]
    .map((sum) =>
      BigInt(sum ?? '0')
        .toString(16)
        .padStart(16, '0'),
    )
    .join('');
}
