import { connect } from '../database/index.ts';
import type { RestoreContext } from '../restore/context.ts';
import { collectFindings, noneFound } from '../restore/findings.ts';
import type { Check } from '../restore/step.ts';
import { verifyStoredEvents, type StoredEventsReport } from './events/index.ts';

const CHECK = {
  id: 'keys.old-events',
  title: 'events that its users sent in the past verify under the restored key',
};

/**
 * Old events of every user under the restored key, offline. A key of the right shape that never signed anything in this
 * database is an exchanged key; an event whose content hash does not fit was changed in the database.
 */
export async function* storedEventsChecks({ source, target, found }: RestoreContext): AsyncGenerator<Check> {
  if (found.databaseBytes === undefined) {
    yield { ...CHECK, result: 'skip', observed: 'step 1 has left no database to look into' };
    return;
  }
  await using session = await connect(target.database, { applicationName: 'lifeboat:check' });
  const report = await verifyStoredEvents(session, source.serverName, [
    ...(found.signingKeys ?? []),
    ...(found.configuredKeys?.retired ?? []),
  ]);
  yield oldEventsCheck(report);
}

/** That nothing failed proves nothing when nothing was checked. Pure. */
export function oldEventsCheck(report: StoredEventsReport): Check {
  const { total, checked, unverifiable, failedCount, perSender } = report;
  if (total === 0)
    return { ...CHECK, result: 'skip', observed: 'the database holds no event of its own users' };
  const observed = `${checked - failedCount} of ${checked} verify, of ${perSender.size} users`;
  if (checked === 0) {
    return {
      ...CHECK,
      result: 'fail',
      expected: `some of ${total} events verify`,
      observed: `0 of ${total} events could be checked, ${unverifiable} of a room version or with numbers unknown to lifeboat`,
    };
  }
  const failed = collectFindings();
  for (const { eventId, roomId, sender, reason } of report.failed)
    failed.add(`${eventId} in ${roomId} by ${sender}: ${reason}`);
  const judged: Check = {
    ...noneFound(CHECK, failed, { unit: 'events failed' }),
    expected: `${checked} of ${checked} events verify`,
    observed,
  };
  if (unverifiable === 0) return judged;
  return {
    ...judged,
    result: judged.result === 'pass' ? 'warn' : judged.result,
    observed: `${observed}; ${unverifiable} could not be checked`,
    detail: [
      ...(judged.detail ?? []),
      `${unverifiable} events are of an unknown room version, or hold numbers that cannot be hashed again.`,
    ],
  };
}
