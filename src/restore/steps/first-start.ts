import { connect } from '../../database/index.ts';
import { cleanse } from '../../homeserver/index.ts';
import type { RestoreContext } from '../context.ts';
import { same } from '../findings.ts';
import type { Check, Step } from '../step.ts';

/** What a restored database needs before a homeserver is started on it for the first time. */
export async function prepareFirstStart({ target, found }: RestoreContext): Promise<void> {
  await using session = await connect(target.database, { applicationName: 'lifeboat:cleanse' });
  const { changes } = await cleanse(session);
  found.cleansed = changes;
}

export async function* firstStartChecks({ target, found }: RestoreContext): AsyncGenerator<Check> {
  const changes = found.cleansed ?? [];
  yield {
    id: 'start.cleansed',
    title: 'the database was made ready for its first start',
    result: 'pass',
    observed: changes.length === 0 ? 'nothing had to be done' : changes.join('; '),
  };
  await using session = await connect(target.database, { applicationName: 'lifeboat:check' });
  const [row] = await session.query<{ keys: number }>('SELECT count(*) AS keys FROM e2e_one_time_keys_json');
  yield same(
    { id: 'start.no-one-time-keys', title: 'no one-time key of the backup can be given out again' },
    '0 keys',
    `${row?.keys ?? 0} keys`,
  );
}

/** Step 5 of the real restore: everything but the start, which is for people to decide (docs/disaster.md). */
export const readyToStartStep: Step<RestoreContext> = {
  id: 'start-services',
  number: 5,
  title: 'Start services',
  requires: ['restore-database', 'restore-signing-keys', 'verify-configuration'],
  apply: prepareFirstStart,
  async *check(context) {
    yield* firstStartChecks(context);
    yield {
      id: 'start.by-hand',
      title: 'the homeserver is started by hand, when the old one is known to be off',
      result: 'skip',
    };
  },
};
