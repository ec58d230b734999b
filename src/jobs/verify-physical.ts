import { isLifeboatError } from '../core/errors.ts';
import { segmentsBetween } from '../database/index.ts';
import type { PhysicalEngine } from '../database/engine.ts';
import type { PhysicalBackup } from '../repository/manifest.ts';
import type { Check } from '../restore/step.ts';

/** Of a database that another tool keeps only that tool can say whether it is there and right. */
export async function* verifyPhysical(
  backup: PhysicalBackup,
  engine: PhysicalEngine | undefined,
  signal?: AbortSignal,
): AsyncGenerator<Check> {
  const { label, stanza, walStart, target } = backup;
  const kept = {
    id: 'verify.external-backup',
    title: `pgBackRest has the backup ${label} of stanza ${stanza}`,
  };
  if (engine === undefined) {
    yield {
      ...kept,
      result: 'skip',
      observed:
        'lifeboat.yaml does not say how pgBackRest is reached (database.pgbackrest): the database was not looked at',
    };
    return;
  }
  try {
    await engine.find(label);
  } catch (error) {
    if (!isLifeboatError(error, 'external-backup-expired')) throw error;
    yield { ...kept, result: 'fail', expected: label, observed: error.message, detail: error.hints };
    return;
  }
  yield { ...kept, result: 'pass', observed: label };
  const { missing } = await engine.wal(walStart, target.walSegmentBytes);
  const needed = new Set(segmentsBetween(walStart, target.walFile, target.walSegmentBytes));
  const lacking = missing.filter((segment) => needed.has(segment));
  yield {
    id: 'verify.external-wal',
    title: `the WAL archive has the ${needed.size} segments from the backup to its target`,
    result: lacking.length === 0 ? 'pass' : 'fail',
    observed: lacking.length === 0 ? 'all there' : `missing: ${lacking.slice(0, NAMED).join(', ')}`,
  };
  const wrong = await engine.verify(signal);
  yield {
    id: 'verify.external-content',
    title: '`pgbackrest verify` finds every file of its repository as its checksum says',
    result: wrong === undefined ? 'pass' : 'fail',
    observed: wrong ?? 'nothing wrong',
  };
}

/** Names that a line carries. */
const NAMED = 5;
