import { connect } from '../database/index.ts';
import type { RestoreContext } from '../restore/context.ts';
import { collectFindings, noneFound } from '../restore/findings.ts';
import type { Check } from '../restore/step.ts';
import { verifyStoredEvents } from './events/index.ts';

/**
 * Old events of every user under the restored key, offline. A key of the right shape that never signed anything in this
 * database is an exchanged key; an event whose content hash does not fit was changed in the database.
 */
export async function* storedEventsChecks({ source, target, found }: RestoreContext): AsyncGenerator<Check> {
  const title = 'events that its users sent in the past verify under the restored key';
  await using session = await connect(target.database, { applicationName: 'lifeboat:check' });
  const report = await verifyStoredEvents(session, source.serverName, [
    ...(found.signingKeys ?? []),
    ...(found.configuredKeys?.retired ?? []),
  ]);
  if (report.total === 0) {
    yield {
      id: 'keys.old-events',
      title,
      result: 'skip',
      observed: 'the database holds no event of its own users',
    };
    return;
  }
  const failed = collectFindings();
  for (const { eventId, roomId, sender, reason } of report.failed)
    failed.add(`${eventId} in ${roomId} by ${sender}: ${reason}`);
  yield {
    ...noneFound({ id: 'keys.old-events', title }, failed, { unit: 'events failed' }),
    expected: `${report.checked} of ${report.checked} events verify`,
    observed: `${report.checked - report.failedCount} of ${report.checked} verify, of ${report.perSender.size} users`,
  };
}
