import { messageOf } from '../../core/errors.ts';
import type { PostgresSession } from '../port.ts';
import { identifier } from './invariants.ts';

export type AmcheckAbility =
  { readonly able: true; readonly schema: string } | { readonly able: false; readonly why: string };

/** Whether its functions may be called here. It is never installed: that is the admin's to do. */
export async function amcheckAbility(session: PostgresSession): Promise<AmcheckAbility> {
  const [found] = await session.query<{ schema: string; database: string; user: string }>(
    `SELECT (SELECT nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'amcheck')::text AS schema,
            current_database()::text AS database, current_user::text AS user`,
  );
  const { schema, database, user } = found!;
  if (schema === null)
    return {
      able: false,
      why: `the extension amcheck is not in ${database}: CREATE EXTENSION amcheck, as a superuser`,
    };
  const functions = ['bt_index_check(regclass, boolean)'];
  const [may] = await session.query<{ may: boolean }>(
    `SELECT bool_and(has_function_privilege(to_regprocedure($1 || '.' || f), 'EXECUTE')) AS may FROM unnest($2::text[]) f`,
    [identifier(schema), functions],
  );
  if (may?.may === true) return { able: true, schema };
  return {
    able: false,
    why: `${user} may not use amcheck: GRANT EXECUTE ON FUNCTION ${schema}.${functions[0]} TO ${user}`,
  };
}

export interface AmcheckResult {
  readonly indexes: number;
  /** One sentence for each index that is damaged. */
  readonly findings: readonly string[];
  /** Locked or dropped meanwhile, and the like. */
  readonly skipped: readonly string[];
}

/** SQLSTATE of damage: data_corrupted and index_corrupted; amcheck reports some as internal errors. */
const DAMAGE = new Set(['XX000', 'XX001', 'XX002']);

/**
 * Every B-tree index against its order and against its table: each row must be found in it (heapallindexed). Needs no more than
 * AccessShareLock, one index at a time in a transaction of its own, so that it is in nobody's way, and runs on a standby. A
 * restored copy has new indexes: no drill can see that of the source is damaged.
 */
export async function amcheck(
  session: PostgresSession,
  schema: string,
  { lockTimeoutMs, signal }: { readonly lockTimeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<AmcheckResult> {
  await session.query(`SET lock_timeout = ${Math.round(lockTimeoutMs)}`);
  const indexes = await session.query<{ oid: string; name: string; table: string }>(
    `SELECT i.indexrelid::text AS oid, i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS "table"
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisready AND i.indisvalid
       AND n.nspname NOT LIKE 'pg_temp%' ORDER BY c.relpages`,
  );
  const findings: string[] = [];
  const skipped: string[] = [];
  for (const { oid, name, table } of indexes) {
    signal?.throwIfAborted();
    try {
      await session.query(`SELECT ${identifier(schema)}.bt_index_check($1::oid::regclass, true)`, [oid]);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === undefined) throw error;
      if (DAMAGE.has(code)) findings.push(`the index ${name} of ${table} is damaged: ${messageOf(error)}`);
      else skipped.push(`${name}: ${messageOf(error)}`);
    }
  }
  return { indexes: indexes.length, findings, skipped };
}
