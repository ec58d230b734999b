import { compareInvariants, type Difference } from '../database/index.ts';
import type { Invariants } from '../repository/manifest.ts';
import { collectFindings, noneFound, type Findings } from './findings.ts';
import type { Check } from './step.ts';

/** One line of the report for each kind of invariant, so that a lost index and a lost table read differently. */
const GROUPS: readonly {
  readonly what: Difference['what'];
  readonly id: string;
  readonly title: string;
  readonly unit: string;
}[] = [
  {
    what: 'rows',
    id: 'database.rows-equal',
    title: 'every table has the rows it had in the snapshot',
    unit: 'tables differ',
  },
  {
    what: 'sequence',
    id: 'database.sequences',
    title: 'no sequence is behind its value in the snapshot',
    unit: 'sequences behind',
  },
  { what: 'index', id: 'database.indexes-equal', title: 'every index is there', unit: 'indexes differ' },
  {
    what: 'constraint',
    id: 'database.constraints-equal',
    title: 'every constraint is there',
    unit: 'constraints differ',
  },
  {
    what: 'trigger',
    id: 'database.triggers-equal',
    title: 'every trigger is there',
    unit: 'triggers differ',
  },
];

/** What was measured inside the exported snapshot against what the restored database says now. */
export function* compareWithManifest(
  expected: Invariants | undefined,
  observed: Invariants,
  withoutRows: readonly string[],
): Generator<Check> {
  if (expected === undefined) {
    const title = 'the database is as it was measured at backup time';
    yield {
      id: 'database.invariants',
      title,
      result: 'skip',
      observed: 'a dump without manifest says nothing to compare with',
    };
    return;
  }
  const differences = compareInvariants(expected, observed, { withoutRows });
  for (const { what, id, title, unit } of GROUPS) {
    const group = differences.filter((difference) => difference.what === what);
    yield noneFound({ id, title }, findingsOf(group), { unit });
  }
  yield compareValues(
    { id: 'database.facts-equal', title: 'users, rooms, events and versions are as counted' },
    expected.facts,
    observed.facts,
  );
  const digests = {
    id: 'database.content-equal',
    title: 'the content of the tables that matter most is unchanged',
  };
  yield compareValues(digests, expected.digests, observed.digests);
  const newest = { id: 'database.newest-event', title: 'the newest event is the one of the snapshot' };
  yield compareValues(newest, { newest: timeOf(expected) }, { newest: timeOf(observed) });
}

function findingsOf(differences: readonly Difference[]): Findings {
  const found = collectFindings();
  for (const { name, expected, observed } of differences)
    found.add(`${name}: expected ${expected}, observed ${observed}`);
  return found;
}

function compareValues(
  check: Pick<Check, 'id' | 'title'>,
  expected: Readonly<Record<string, string | number>>,
  observed: Readonly<Record<string, string | number>>,
): Check {
  const found = collectFindings();
  for (const [name, value] of Object.entries(expected)) {
    if (observed[name] !== value)
      found.add(`${name}: expected ${value}, observed ${observed[name] ?? 'nothing'}`);
  }
  return noneFound(check, found, { unit: 'values differ' });
}

function timeOf(invariants: Invariants): string {
  return invariants.newestEventTs === null ? 'none' : new Date(invariants.newestEventTs).toISOString();
}
