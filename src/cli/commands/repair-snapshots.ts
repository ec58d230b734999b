import { EXIT } from '../../core/errors.ts';
import { repairSnapshots } from '../../jobs/repair-snapshots.ts';
import type { BrokenSnapshot } from '../../repository/port.ts';
import { defineCommand } from '../definition.ts';
import { shortId } from './list.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

export const repairSnapshotsCommand = defineCommand<{ forget?: true; readData?: true; allowLarge?: true }>({
  name: 'repair snapshots',
  summary: 'find snapshots that cannot be restored whole, and forget them when told so',
  description:
    'Names the snapshots of which something is missing or damaged, and what. First try to put these objects back from a copy, for ' +
    '`restore --only` still gets the undamaged parts of such a snapshot. With --forget, all of them leave the list, each with the reason ' +
    'in the log; that needs the admin key. `prune` then removes what only they needed, damaged packs too, and the next backup stores anew ' +
    'what was in them. A snapshot is not forgotten because of the index (`repair index` mends it) or because of a key.',
  arguments: [],
  options: [
    { flags: '--read-data', description: 'read every pack: finds damage that leaves the size as it was' },
    { flags: '--forget', description: 'forget those that were found' },
    {
      flags: '--allow-large',
      description: 'forget more than a quarter of the snapshots at once',
    },
  ],
  examples: [
    { command: 'lifeboat repair snapshots --read-data', meaning: 'Which are damaged? Nothing is changed.' },
    {
      command: 'lifeboat repair snapshots --read-data --forget && lifeboat prune && lifeboat backup',
      meaning: 'Give them up, and begin anew with a whole one.',
    },
  ],
  exits: {
    ...OPENING_WITH_KEY,
    preflightRefused: 'more would be forgotten at once than looks right',
    failed: 'some cannot be restored whole, and are still on the list; or it failed',
  },
  run: async ({ options }, { repository, output, signal }) => {
    const opened = await repository();
    const { snapshots, broken, forgotten } = await repairSnapshots(opened, {
      forget: options.forget === true,
      readData: options.readData === true,
      allowLarge: options.allowLarge === true,
      signal,
      progress: output.progress,
    });
    for (const snapshot of broken) {
      output.message('finding', { severity: 'error', snapshot: snapshot.id, objects: snapshot.objects });
      output.print(describe(snapshot));
    }
    output.message('summary', {
      command: 'repair snapshots',
      dry_run: options.forget !== true,
      snapshots,
      broken: broken.map(({ id }) => id),
      forgotten,
    });
    const lost = `${broken.length} of ${snapshots} snapshots cannot be restored whole`;
    output.print(
      forgotten.length === 0 ? lost : `${lost}, and are forgotten; \`lifeboat prune\` frees their space`,
    );
    return broken.length === forgotten.length ? EXIT.ok : EXIT.failed;
  },
});

/** So many of its objects are named; --json has all. */
const MOST_SHOWN = 10;

function describe({ id, objects }: BrokenSnapshot): string {
  const lines = objects.slice(0, MOST_SHOWN).map(({ key, problem }) => `  ${key}: ${problem}`);
  const more = objects.length > MOST_SHOWN ? [`  and ${objects.length - MOST_SHOWN} more objects`] : [];
  return [`${shortId(id)} cannot be restored whole:`, ...lines, ...more].join('\n');
}
