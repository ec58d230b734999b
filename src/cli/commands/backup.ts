import { EXIT } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { backup, planBackup, type BackupPlan } from '../../jobs/backup.ts';
import type { Agreement } from '../../jobs/media/agreement.ts';
import { updateCopies } from '../../jobs/copies.ts';
import type { CommitResult } from '../../repository/port.ts';
import { defineCommand } from '../definition.ts';
import { EXIT_MEANING } from '../exit.ts';
import { count } from '../option-values.ts';
import { formatTime, table } from '../terminal.ts';
import { reportCopies } from './copy.ts';
import { shortId, snapshotFields } from './list.ts';
import { OPENING_WITH_KEY } from './shared-exits.ts';

export const backupCommand = defineCommand<{
  dryRun?: true;
  compareMedia?: true;
  acceptChanges?: true;
  sample?: number;
  tag?: readonly string[];
}>({
  name: 'backup',
  job: { name: 'backup', exclusive: true },
  summary: 'back up the homeserver into the repository',
  description:
    'Takes one snapshot of database, media, signing keys and configuration, of one instant, while the homeserver runs. Nothing of ' +
    'it is visible before everything is stored. What the repository holds already is not stored again.',
  arguments: [],
  options: [
    { flags: '-n, --dry-run', description: 'connect and look, show the plan, store nothing' },
    {
      flags: '-t, --tag <TAG>',
      description: 'a word to find the snapshot by; may be repeated',
      repeatable: true,
    },
    {
      flags: '--accept-changes',
      description: 'the rows that an alarm says are gone are meant to be: end the alarm',
    },
    {
      flags: '--compare-media',
      description: 'look at every media file now, not only every media.compare_every',
    },
    {
      flags: '--sample <N>',
      description: 'read N media files again, chosen at random, and compare them with what was stored',
      parse: count,
    },
  ],
  examples: [
    { command: 'lifeboat backup', meaning: 'From cron or a systemd timer, every night.' },
    { command: 'lifeboat backup --tag before-upgrade', meaning: 'By hand.' },
    { command: 'lifeboat backup --dry-run', meaning: 'What would be backed up?' },
  ],
  exits: {
    ...OPENING_WITH_KEY,
    omissions:
      'the snapshot is stored, but something was not there to be backed up, such as a media file, a copy is not up to date, or ' +
      'signing key, secrets or server name are not those of the last backup',
    locked: EXIT_MEANING.locked,
    preflightRefused: 'the homeserver, its database or its media cannot be read; nothing was stored',
    softFail: EXIT_MEANING.softFail,
  },
  run: async ({ options }, { config, repository, output, signal }) => {
    const settings = await config();
    if (options.dryRun === true) {
      const plan = await planBackup(settings);
      for (const warning of plan.warnings) output.warn(warning);
      output.message('summary', { command: 'backup', dry_run: true, plan });
      output.print(describePlan(plan));
      return EXIT.ok;
    }
    const { plan, commit, warnings, omissions, agreement, changes } = await backup({
      config: settings,
      repository: await repository(),
      tags: options.tag ?? [],
      compareMedia: options.compareMedia,
      acceptChanges: options.acceptChanges,
      sampleMedia: options.sample,
      progress: output.progress,
      signal,
    });
    const told = [...changes.map(({ text }) => text), ...plan.warnings, ...warnings, ...omissions];
    for (const warning of told) output.warn(warning);
    for (const [what, uris] of Object.entries(named(agreement))) output.warn(`${what}: ${uris}`);
    output.print(describeCommit(commit));
    const copies = await updateCopies({ repository: settings.repository, progress: output.progress, signal });
    reportCopies(copies, output);
    const lagging = copies.filter(({ result }) => result === undefined).map(({ name }) => name);
    output.message('summary', {
      command: 'backup',
      ...snapshotFields(commit.entry),
      new_blobs: commit.newBlobs,
      reused_blobs: commit.reusedBlobs,
      new_packs: commit.newPacks,
      stored_bytes: commit.storedBytes,
      omissions,
      media_without_file: agreement.missing,
      files_without_row: agreement.orphans,
      changes,
      copies_behind: lagging,
    });
    const alarms = changes.filter(({ alarm }) => alarm);
    return omissions.length + alarms.length + lagging.length === 0 ? EXIT.ok : EXIT.omissions;
  },
});

/** A screen has room for some; `show` and --json name all that the manifest has. */
const NAMED = 10;

function named({ missing, orphans }: Agreement): Record<string, string> {
  const list = (uris: readonly string[]) =>
    `${uris.slice(0, NAMED).join(' ')}${uris.length > NAMED ? ` and ${uris.length - NAMED} more (lifeboat show)` : ''}`;
  return {
    ...(missing.length === 0 ? {} : { 'media without file': list(missing) }),
    ...(orphans.length === 0 ? {} : { 'files without row': list(orphans) }),
  };
}

function describePlan(plan: BackupPlan): string {
  const list = (name: string, files: readonly string[]) =>
    files.map((file, index) => [index === 0 ? name : '', file]);
  return table([
    ['server', plan.serverName],
    ['homeserver', plan.homeserver],
    [
      'database',
      `${plan.database.name}, ${formatBytes(plan.database.bytes)}, PostgreSQL ${plan.database.serverVersion}`,
    ],
    ...(plan.database.via === undefined ? [] : [['through', plan.database.via]]),
    ...(plan.database.client === undefined ? [] : [['dumped by', plan.database.client]]),
    ...plan.otherDatabases.map(({ label, name, bytes, serverVersion }) => [
      label,
      `${name}, ${formatBytes(bytes)}, PostgreSQL ${serverVersion}`,
    ]),
    ['media', `${plan.mediaDirectory}: ${plan.mediaClasses.join(', ')}`],
    ...list('keys', plan.keyFiles),
    ...list('configuration', plan.configFiles),
  ]);
}

function describeCommit({ entry, newBlobs, reusedBlobs, storedBytes }: CommitResult): string {
  return table([
    ['snapshot', shortId(entry.id)],
    ['taken', formatTime(entry.time)],
    ['server', entry.serverName],
    ['holds', `${entry.files} files, ${formatBytes(entry.bytes)}`],
    ['stored', `${formatBytes(storedBytes)} (${newBlobs} new pieces, ${reusedBlobs} known already)`],
  ]);
}
