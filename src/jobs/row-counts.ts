import type { RowRules } from '../homeserver/port.ts';

/** What was counted in one run; `snapshot` names it. */
export interface Counts {
  readonly snapshot: string;
  /** ISO 8601. */
  readonly at: string;
  readonly tableRows: Readonly<Record<string, number>>;
  readonly indexes: readonly string[];
  readonly facts: Readonly<Record<string, number | string>>;
}

export interface Alarm {
  /** `rows`: of a table; `relation`: rows that lack their partner; `position`: of a stream; `index`: by name. */
  readonly what: 'rows' | 'relation' | 'position' | 'index';
  readonly name: string;
  /** Null of an index: it was there. */
  readonly before: number | null;
  readonly now: number | null;
  /** The last run before it was seen. */
  readonly since: string;
  readonly snapshot: string;
}

/** In a table that nothing is known of: fewer than a fifth of its rows may go in one night, or some hundred. */
const SHARE = 0.2;
const ROWS = 100;

/**
 * What is gone since the run before, and nothing that the homeserver does explains it. A page that was lost and came back as
 * zeros, or a file that was cut, is an error to nobody (pg_dump, pg_amcheck, checksums): there are only fewer rows. Pure.
 */
export function unexplained(before: Counts, now: Counts, rules: RowRules): Alarm[] {
  const migrated = rules.versions.some((name) => before.facts[name] !== now.facts[name]);
  const migrating = migrated || [before, now].some(({ facts }) => Number(facts[rules.migrating] ?? 0) > 0);
  const alarm = (what: Alarm['what'], name: string, earlier: number | null, today: number | null): Alarm => ({
    what,
    name,
    before: earlier,
    now: today,
    since: before.at,
    snapshot: before.snapshot,
  });
  const lost = (table: string) => (before.tableRows[table] ?? 0) - (now.tableRows[table] ?? 0);
  const rows = Object.entries(before.tableRows)
    // A migration drops tables and rows.
    .filter(([table]) => !migrated || rules.growing.includes(table))
    .filter(([table]) => isUnexplained(table, lost, before.tableRows, rules))
    .map(([table, count]) => alarm('rows', table, count, now.tableRows[table] ?? 0));
  const numbers = (names: readonly string[], isWorse: (then: number, today: number) => boolean) =>
    names.flatMap((name) => {
      const [earlier, today] = [before.facts[name], now.facts[name]];
      return typeof earlier === 'number' && typeof today === 'number' && isWorse(earlier, today)
        ? [{ name, earlier, today }]
        : [];
    });
  const there = new Set(now.indexes);
  return [
    ...rows,
    ...numbers(Object.keys(rules.relations), (earlier, today) => today > earlier).map(
      ({ name, earlier, today }) => alarm('relation', name, earlier, today),
    ),
    ...numbers(rules.positions, (earlier, today) => today < earlier).map(({ name, earlier, today }) =>
      alarm('position', name, earlier, today),
    ),
    ...(migrating ? [] : before.indexes.filter((name) => !there.has(name))).map((name) =>
      alarm('index', name, null, null),
    ),
  ];
}

function isUnexplained(
  table: string,
  lost: (table: string) => number,
  before: Counts['tableRows'],
  rules: RowRules,
): boolean {
  if (lost(table) <= 0) return false;
  if (rules.growing.includes(table)) return true;
  const pair = rules.together.find((tables) => tables.includes(table));
  if (pair !== undefined) return pair.some((partner) => lost(partner) !== lost(table));
  const parent = Object.entries(rules.shrinkWith).find(([, tables]) => tables.includes(table))?.[0];
  if (parent !== undefined) return lost(parent) <= 0;
  if (rules.volatile.test(table)) return false;
  return lost(table) >= ROWS && lost(table) >= (before[table] ?? 0) * SHARE;
}

/** Those of before stay until somebody has accepted them, with what was there at first. Pure. */
export function mergeAlarms(pending: readonly Alarm[], fresh: readonly Alarm[]): Alarm[] {
  const same = (a: Alarm) => (b: Alarm) => a.what === b.what && a.name === b.name;
  return [
    ...pending.map((alarm) => {
      const again = fresh.find(same(alarm));
      return again === undefined ? alarm : { ...alarm, now: again.now };
    }),
    ...fresh.filter((alarm) => !pending.some(same(alarm))),
  ];
}

/** One sentence. */
export function describeAlarm(alarm: Alarm, rules: Pick<RowRules, 'relations'>): string {
  const { what, name, before, now, since, snapshot } = alarm;
  const when = `on ${since.slice(0, 10)} (snapshot ${snapshot.slice(0, 8)})`;
  switch (what) {
    case 'rows':
      return `ALARM: ${name} had ${before} rows ${when} and has ${now} now: ${(before ?? 0) - (now ?? 0)} are gone, and nothing explains it`;
    case 'relation':
      return `ALARM: there were ${before} ${rules.relations[name] ?? name} ${when}, and there are ${now} now`;
    case 'position':
      return `ALARM: ${name} was ${before} ${when} and is ${now} now: the database went back in time`;
    case 'index':
      return `ALARM: the index ${name} was there ${when} and is gone`;
  }
}

/** What follows the alarms. */
export function whatToDo(alarms: readonly Alarm[]): string {
  const oldest = alarms.toSorted((a, b) => a.since.localeCompare(b.since))[0];
  return `Rows vanish without any error when a page of a table was lost. Snapshot ${oldest?.snapshot.slice(0, 8)} is the last one before; prune keeps what was stored before an alarm. When you know why they are gone, run \`lifeboat backup --accept-changes\``;
}
