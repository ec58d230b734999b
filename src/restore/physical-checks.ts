import { LifeboatError } from '../core/errors.ts';
import { formatDuration } from '../core/units.ts';
import { connect } from '../database/index.ts';
import type { Invariants } from '../repository/manifest.ts';
import type { RecoveredCluster, RestoreContext } from './context.ts';
import type { Check } from './step.ts';

/** The cluster of a physical backup takes the place of database and dumps. */
export async function restorePhysical(context: RestoreContext): Promise<void> {
  const { restoreCluster, target, found } = context;
  if (restoreCluster === undefined)
    throw new LifeboatError('internal', 'a physical backup cannot be restored into a database');
  found.cluster = await restoreCluster();
  await using session = await connect(target.database, { applicationName: 'lifeboat:restore' });
  await session.query('ANALYZE');
}

/** Names that a line of the report carries. */
const NAMED = 5;
/** Of these may be more when something was committed between. */
const MAY_GROW: ReadonlySet<string> = new Set([
  'database.rows-equal',
  'database.facts-equal',
  'database.content-equal',
  'database.newest-event',
]);

/** How the recovery went, and what was measured against what is there, in the light of it. */
export async function* physicalChecks(
  { found, source }: RestoreContext,
  compared: Iterable<Check>,
): AsyncGenerator<Check> {
  const { cluster, measured } = found;
  if (cluster === undefined) return;
  yield recoveryCheck(cluster, source.physical!.backup.target.lsn);
  yield walCheck(cluster);
  for (const check of compared) {
    const grown = cluster.between > 0 && check.result === 'fail' && MAY_GROW.has(check.id);
    yield grown && noFewerRows(source.invariants, measured) ? { ...check, result: 'warn' } : check;
  }
}

function recoveryCheck({ between, restoreMs, replayMs, walSegments }: RecoveredCluster, lsn: string): Check {
  const took = `restored in ${formatDuration(restoreMs)}, ${walSegments} WAL segments replayed in ${formatDuration(replayMs)}`;
  const check = {
    id: 'database.instant',
    title: `the cluster was recovered to the instant that was measured, ${lsn}`,
  };
  if (between === 0) return { ...check, result: 'pass', observed: took };
  return {
    ...check,
    result: 'warn',
    expected: 'the transactions that were measured, and no other',
    observed: `${between} more; ${took}`,
    detail: ['They were being committed at that moment: counts are compared as "at least", not as equal.'],
  };
}

/** What a recovery to now would give: the Postgres part of the RPO. */
function walCheck({ wal }: RecoveredCluster): Check {
  const check = { id: 'database.wal', title: 'the WAL archive goes on from this backup without a gap' };
  const observed = `newest segment ${wal.newest}, archived ${wal.newestAt.toISOString()}`;
  if (wal.missing.length === 0) return { ...check, result: 'pass', observed };
  return {
    ...check,
    result: 'warn',
    expected: 'no gap',
    observed: `${wal.missing.length} segments missing; ${observed}`,
    detail: [
      `missing: ${wal.missing.slice(0, NAMED).join(', ')}`,
      'What was written after the gap cannot be recovered from this backup.',
    ],
  };
}

function noFewerRows(expected: Invariants | undefined, observed: Invariants | undefined): boolean {
  if (expected === undefined || observed === undefined) return false;
  return Object.entries(expected.tableRows).every(
    ([table, rows]) => (observed.tableRows[table] ?? -1) >= rows,
  );
}
