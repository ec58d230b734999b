import { availableParallelism } from 'node:os';

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

export interface TableSize extends TableName {
  /** Of the heap with its TOAST; indexes are not dumped. */
  readonly bytes: number;
}

export type Section = 'pre-data' | 'data' | 'post-data';

/** What one pg_dump writes: an archive of its own. */
export interface DumpPart {
  /** For people: progress, application name, file name. */
  readonly name: string;
  /** Undefined: the whole database in one archive. */
  readonly section: Section | undefined;
  /** Rows of these tables only; undefined: of all, but those of `without`. */
  readonly only: readonly TableName[] | undefined;
  readonly without: readonly TableName[];
  /** Estimated from the size on disk. */
  readonly bytes: number;
}

export interface DumpPlan {
  /** In the order in which they are begun, which is not the one in which they are restored. */
  readonly parts: readonly DumpPart[];
  /** How many pg_dump run at once. */
  readonly lanes: number;
}

export interface PlanOptions {
  readonly lanes: number;
  /** Their rows are not dumped. */
  readonly excluded: readonly TableName[];
  /** Below this a database is one archive: another pg_dump costs more than it saves. */
  readonly smallBytes?: number | undefined;
}

/** A pg_dump of Synapse's schema reads the catalogue for about 0.2 s, in which one that runs already dumps some 40 MB. */
const SMALL_BYTES = 64 * 1024 * 1024;
/** Tables are taken out of the rest until what remains fits into half a lane, but none below this share of a small database. */
const LEAST_SHARE = 4;
/** Each is a process and a name in argv. */
const MOST_ALONE = 64;
/** Beside each pg_dump works a process of the server, beside all of them ours with its compressing threads. */
const MOST_BY_DEFAULT = 4;

export function defaultLanes(): number {
  return Math.min(MOST_BY_DEFAULT, availableParallelism());
}

/**
 * Which archives a dump consists of: large tables alone, largest first, then the rest by exclusion, so that no table, sequence or
 * large object can be forgotten; the schema before and after the rows apart. Whoever takes the next part whenever a lane is free has
 * them balanced: no lane ends later than the mean of all plus the largest part (Graham 1969, list scheduling). A table that is alone
 * has the same stream every night, whatever the others weigh: there is no assignment that could change. Pure.
 */
export function planDump(sizes: readonly TableSize[], options: PlanOptions): DumpPlan {
  const { lanes, excluded, smallBytes = SMALL_BYTES } = options;
  const without = new Set(excluded.map(qualified));
  const tables = sizes
    .filter((table) => !without.has(qualified(table)))
    .toSorted((a, b) => b.bytes - a.bytes || (qualified(a) < qualified(b) ? -1 : 1));
  const total = tables.reduce((sum, { bytes }) => sum + bytes, 0);
  const whole = { name: 'all', section: undefined, only: undefined, without: excluded, bytes: total };
  if (lanes <= 1 || total <= smallBytes) return { parts: [whole], lanes: 1 };

  const alone: TableSize[] = [];
  let rest = total;
  for (const table of tables) {
    const fits = rest <= total / (2 * lanes);
    if (fits || alone.length === MOST_ALONE || table.bytes <= smallBytes / LEAST_SHARE) break;
    alone.push(table);
    rest -= table.bytes;
  }
  if (alone.length === 0) return { parts: [whole], lanes: 1 };
  const data: DumpPart[] = [
    ...alone.map((table) => ({
      name: table.schema === 'public' ? table.name : `${table.schema}.${table.name}`,
      section: 'data' as const,
      only: [{ schema: table.schema, name: table.name }],
      without: [],
      bytes: table.bytes,
    })),
    {
      name: 'all other tables',
      section: 'data' as const,
      only: undefined,
      without: [...excluded, ...alone.map(({ schema, name }) => ({ schema, name }))],
      bytes: rest,
    },
  ].toSorted((a, b) => b.bytes - a.bytes);
  const schema = { only: undefined, without: [], bytes: 0 };
  return {
    // The schema first: what pg_dump asks for indexes sees the newest catalogue, and should fail in the first minute, not after hours.
    parts: [
      { ...schema, name: 'pre-data', section: 'pre-data' },
      { ...schema, name: 'post-data', section: 'post-data' },
      ...data,
    ],
    lanes,
  };
}

/** As SQL and pg_dump's patterns have it: within quotes nothing is special but the quote (psql manual, "Patterns"). */
export function qualified({ schema, name }: TableName): string {
  return `${quote(schema)}.${quote(name)}`;
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
