import type { Invariants } from '../../repository/manifest.ts';
import type { PostgresSession } from '../port.ts';

export type SchemaInvariants = Pick<
  Invariants,
  'tableRows' | 'sequences' | 'indexes' | 'constraints' | 'triggers'
>;

/** Tables whose rows are counted in one statement: some servers have hundreds of tables. */
const TABLES_AT_ONCE = 50;

/**
 * Rows, sequences and objects of the schema `public`. Rows are counted, not estimated: a zeroed page or a cut heap file
 * gives pg_dump no error, only fewer rows.
 */
export async function measureInvariants(session: PostgresSession): Promise<SchemaInvariants> {
  return {
    tableRows: await countRows(session),
    sequences: await sequenceValues(session),
    // pg_dump leaves out an index that is being built, or whose building failed (CREATE INDEX CONCURRENTLY).
    indexes: await names(
      session,
      `SELECT relname AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
       WHERE relnamespace = 'public'::regnamespace AND indisvalid`,
    ),
    // PostgreSQL 18 lists NOT NULL too; before, it was a column's attribute alone, and its names come of the restore.
    constraints: await names(
      session,
      `SELECT t.relname || '.' || c.conname AS name FROM pg_constraint c
       JOIN pg_class t ON t.oid = c.conrelid WHERE c.connamespace = 'public'::regnamespace AND c.contype <> 'n'`,
    ),
    triggers: await names(
      session,
      `SELECT t.relname || '.' || g.tgname AS name FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
       WHERE NOT g.tgisinternal AND t.relnamespace = 'public'::regnamespace`,
    ),
  };
}

async function countRows(session: PostgresSession): Promise<Record<string, number>> {
  const tables = await names(session, `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`);
  const counts: Record<string, number> = {};
  for (let first = 0; first < tables.length; first += TABLES_AT_ONCE) {
    const some = tables.slice(first, first + TABLES_AT_ONCE);
    const sql = some.map(
      (table) => `SELECT ${literal(table)} AS name, count(*) AS rows FROM public.${identifier(table)}`,
    );
    for (const { name, rows } of await session.query<{ name: string; rows: number }>(sql.join(' UNION ALL ')))
      counts[name] = rows;
  }
  return counts;
}

/**
 * Sequences stand outside of every snapshot: what was read before a dump began is at most what the dump has, and only that can be
 * asked of a restore.
 */
export async function sequenceValues(session: PostgresSession): Promise<Record<string, number>> {
  const rows = await session.query<{ name: string; value: number }>(
    `SELECT sequencename AS name, coalesce(last_value, 0) AS value FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1`,
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, Number(value)]));
}

async function names(session: PostgresSession, sql: string): Promise<string[]> {
  const rows = await session.query<{ name: string }>(sql);
  return rows.map(({ name }) => name).toSorted();
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export interface Difference {
  readonly what: 'rows' | 'sequence' | 'index' | 'constraint' | 'trigger';
  readonly name: string;
  readonly expected: string;
  readonly observed: string;
}

export interface CompareOptions {
  /** Tables that were dumped without their rows. */
  readonly withoutRows: readonly string[];
}

/** Everything must be equal, but that sequences may be ahead. Pure. */
export function compareInvariants(
  expected: SchemaInvariants,
  observed: SchemaInvariants,
  { withoutRows }: CompareOptions,
): Difference[] {
  return [
    ...compareRows(expected.tableRows, observed.tableRows, new Set(withoutRows)),
    ...compareSequences(expected.sequences, observed.sequences),
    ...compareNames('index', expected.indexes, observed.indexes),
    ...compareNames('constraint', expected.constraints, observed.constraints),
    ...compareNames('trigger', expected.triggers, observed.triggers),
  ];
}

type Counts = Readonly<Record<string, number>>;

function compareRows(expected: Counts, observed: Counts, withoutRows: ReadonlySet<string>): Difference[] {
  return Object.keys({ ...expected, ...observed })
    .toSorted()
    .map((name) => ({ name, before: withoutRows.has(name) ? 0 : expected[name], now: observed[name] }))
    .filter(({ before, now }) => before !== now)
    .map(({ name, before, now }) => ({
      what: 'rows',
      name,
      expected: rowsOrNone(before),
      observed: rowsOrNone(now),
    }));
}

function rowsOrNone(rows: number | undefined): string {
  return rows === undefined ? 'no such table' : `${rows} rows`;
}

function compareSequences(expected: Counts, observed: Counts): Difference[] {
  return Object.entries(expected)
    .filter(([name, value]) => (observed[name] ?? -1) < value)
    .map(([name, value]) => ({
      what: 'sequence',
      name,
      expected: `at least ${value}`,
      observed: String(observed[name] ?? 'no such sequence'),
    }));
}

function compareNames(
  what: Difference['what'],
  expected: readonly string[],
  observed: readonly string[],
): Difference[] {
  const [before, now] = [new Set(expected), new Set(observed)];
  const lost = [...before]
    .filter((name) => !now.has(name))
    .map((name) => ({ what, name, expected: 'present', observed: 'missing' }));
  const added = [...now]
    .filter((name) => !before.has(name))
    .map((name) => ({ what, name, expected: 'absent', observed: 'present' }));
  return [...lost, ...added];
}
