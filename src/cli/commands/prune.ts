import { EXIT } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { updateCopies } from '../../jobs/copies.ts';
import { mediaGenerations } from '../../jobs/media/access.ts';
import { pruneRepository } from '../../jobs/prune.ts';
import type { MediaGenerations } from '../../media/generations.ts';
import type { RetentionPolicy } from '../../repository/index.ts';
import type { Repository } from '../../repository/port.ts';
import type { CommandContext } from '../context.ts';
import { defineCommand } from '../definition.ts';
import { EXIT_MEANING } from '../exit.ts';
import { count, duration } from '../option-values.ts';
import { formatTime, table } from '../terminal.ts';
import { reportCopies } from './copy.ts';
import { shortId } from './list.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

interface PruneFlags {
  readonly dryRun?: true;
  readonly grace?: number;
  readonly allowLarge?: true;
  readonly keepWithin?: number;
  readonly keepLast?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
}

export const pruneCommand = defineCommand<PruneFlags>({
  name: 'prune',
  job: { name: 'prune', exclusive: true },
  summary: 'forget old snapshots and free their space',
  description:
    'Forgets what no retention rule keeps, then deletes what no snapshot needs. Safe beside running backups. Rules given here replace ' +
    'those of lifeboat.yaml; without any rule nothing is forgotten. Pinned snapshots, the newest proven one, what is younger than a week and the floor always stay. Needs the admin key.',
  arguments: [],
  options: [
    { flags: '-n, --dry-run', description: 'show what would be forgotten and freed, and change nothing' },
    {
      flags: '--keep-within <DURATION>',
      description: 'keep what was stored within this time (default: retention.keep_within, else 7d)',
      parse: duration,
    },
    {
      flags: '--allow-large',
      description: 'forget more than a quarter of the snapshots (and more than 3) at once',
    },
    { flags: '--keep-last <N>', description: 'keep the newest N', parse: count },
    { flags: '--keep-daily <N>', description: 'keep the newest of each of N days', parse: count },
    { flags: '--keep-weekly <N>', description: 'keep the newest of each of N ISO weeks', parse: count },
    { flags: '--keep-monthly <N>', description: 'keep the newest of each of N months', parse: count },
    { flags: '--keep-yearly <N>', description: 'keep the newest of each of N years', parse: count },
    {
      flags: '--grace <DURATION>',
      description: 'leave unneeded objects alone that are younger (default: 1d)',
      parse: duration,
    },
  ],
  examples: [
    { command: 'lifeboat prune --dry-run', meaning: 'What would go?' },
    {
      command: 'lifeboat prune --keep-daily 7 --keep-weekly 4 --keep-monthly 12',
      meaning: 'With rules of its own.',
    },
  ],
  exits: {
    ...OPENING_WITH_KEY,
    locked: EXIT_MEANING.locked,
    omissions: 'the repository is pruned, but a copy is not up to date',
    preflightRefused:
      'more would be forgotten at once than looks right, or this account may only add to the repository',
  },
  run: async ({ options }, context) => {
    const { output } = context;
    const policy = await policyOf(options, context);
    const repository = await context.repository();
    const dryRun = options.dryRun === true;
    const { decisions, forgotten, pruned, retired } = await pruneRepository(repository, {
      policy,
      dryRun,
      graceMs: options.grace,
      allowLarge: options.allowLarge,
      generations: await generationsOf(repository, context),
      progress: output.progress,
      signal: context.signal,
    });
    for (const { snapshot, keep, reason } of decisions)
      output.message('decision', { id: snapshot.id, keep, reason });
    if (decisions.length > 0) {
      const rows = decisions.map(({ snapshot, keep, reason }) => [
        shortId(snapshot.id),
        formatTime(snapshot.time),
        keep ? 'keep' : 'forget',
        reason,
      ]);
      output.print(table([['SNAPSHOT', 'TAKEN', 'DECISION', 'REASON'], ...rows]));
    }
    const verbs = dryRun ? ['would forget', 'would free'] : ['forgot', 'freed'];
    output.print(
      `${verbs[0]} ${forgotten.length} of ${decisions.length} snapshots, ${verbs[1]} ${formatBytes(pruned.freedBytes)} in ${dryRun ? pruned.markedObjects : pruned.deletedObjects} objects`,
    );
    if (pruned.lockedObjects > 0)
      output.print(
        `${pruned.lockedObjects} objects are still protected by Object Lock: a later prune deletes them`,
      );
    for (const name of retired) output.print(`${dryRun ? 'would delete' : 'deleted'} the media of ${name}`);
    const behind = dryRun ? [] : await copiesBehind(context);
    output.message('summary', {
      command: 'prune',
      copies_behind: behind,
      dry_run: dryRun,
      forgotten,
      marked_objects: pruned.markedObjects,
      deleted_objects: pruned.deletedObjects,
      locked_objects: pruned.lockedObjects,
      freed_bytes: pruned.freedBytes,
      retired_media: retired,
    });
    return behind.length === 0 ? EXIT.ok : EXIT.omissions;
  },
});

/** Of the repository in the file, not of any other. */
async function generationsOf(
  repository: Repository,
  { configIfAny, flags }: CommandContext,
): Promise<MediaGenerations | undefined> {
  const config = flags.repository === undefined ? await configIfAny() : undefined;
  return config && mediaGenerations(config, repository.id);
}

/** What was pruned here is pruned in the copies, too; names of those that could not be brought up to date. */
async function copiesBehind({ configIfAny, flags, output, signal }: CommandContext): Promise<string[]> {
  const config = await configIfAny();
  // The copies are those of the repository in the file, not of any other.
  if (config === undefined || flags.repository !== undefined) return [];
  const copies = await updateCopies({ repository: config.repository, progress: output.progress, signal });
  reportCopies(copies, output);
  return copies.filter(({ result }) => result === undefined).map(({ name }) => name);
}

/** As the schema of lifeboat.yaml has it. */
const DEFAULT_KEEP_WITHIN_MS = 7 * 24 * 60 * 60 * 1000;

/** Rules on the command line replace all of the file's, as in restic: half of each would surprise. */
async function policyOf(
  { keepLast, keepDaily, keepWeekly, keepMonthly, keepYearly, keepWithin }: PruneFlags,
  { configIfAny }: CommandContext,
): Promise<RetentionPolicy> {
  const given = { keepLast, keepDaily, keepWeekly, keepMonthly, keepYearly };
  const configured = (await configIfAny())?.retention;
  const keepWithinMs = keepWithin ?? configured?.keepWithinMs ?? DEFAULT_KEEP_WITHIN_MS;
  if (Object.values(given).every((value) => value === undefined)) return { ...configured, keepWithinMs };
  return { ...given, floor: configured?.floor, keepWithinMs };
}
