import { EXIT, LifeboatError } from '../../core/errors.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import { connect } from '../../database/index.ts';
import { findSources } from '../../jobs/backup.ts';
import { planMaintenance, type MaintenancePlan } from '../../jobs/maintenance/plan.ts';
import { runMaintenance } from '../../jobs/maintenance/run.ts';
import type { CommandContext } from '../context.ts';
import { defineCommand } from '../definition.ts';
import { EXIT_MEANING } from '../exit.ts';

interface MaintenanceFlags {
  readonly dryRun?: true;
  readonly yes?: true;
}

const NAMED = 10;

export const maintenanceCommand = defineCommand<MaintenanceFlags>({
  name: 'maintenance',
  summary: 'vacuum, rebuild indexes, purge media cache and old history, as set up',
  description:
    'Does what stands under maintenance in lifeboat.yaml, and nothing else; all of it is off by default. Shows the plan first and asks. ' +
    'Connects to the database as the homeserver does. What is purged does not come back: take a backup before.',
  arguments: [],
  options: [
    { flags: '-n, --dry-run', description: 'show the plan, change nothing' },
    { flags: '-y, --yes', description: 'do not ask: for timers' },
  ],
  examples: [
    { command: 'lifeboat maintenance --dry-run', meaning: 'What would be done?' },
    { command: 'lifeboat maintenance --yes', meaning: 'From a timer, once a month.' },
  ],
  exits: {
    failed: 'something could not be done; the rest is done',
    usage: EXIT_MEANING.usage,
    preflightRefused: 'the database cannot be reached, or nobody confirmed; nothing was changed',
  },
  run: async ({ options }, context) => {
    const { output, clock, signal } = context;
    const { maintenance, ...config } = await context.config();
    const { database, inventory } = await findSources({ ...config, maintenance });
    // Tables belong to the role of the homeserver; the one for backups may only read.
    const { user, password } = inventory.database;
    await using session = await connect(
      { ...database, user, password },
      { applicationName: 'lifeboat:maintenance' },
    );
    const plan = await planMaintenance(maintenance, session, clock);
    output.message('finding', { tasks: plan.tasks, leftovers: plan.leftovers });
    for (const { title } of plan.tasks) output.print(`- ${title}`);
    for (const name of plan.leftovers.slice(0, NAMED))
      output.warn(
        `index ${name} is invalid, a leftover of a failed build: DROP INDEX CONCURRENTLY public."${name}"`,
      );
    if (plan.tasks.length === 0) output.print('nothing is set up under maintenance in lifeboat.yaml');
    if (options.dryRun === true || plan.tasks.length === 0) {
      output.message('summary', {
        command: 'maintenance',
        dry_run: options.dryRun === true,
        ok: true,
        done: 0,
        failed: 0,
      });
      return EXIT.ok;
    }
    await requireConfirmation(plan, options, context);
    let [done, failed] = [0, 0];
    for await (const { task, ok, durationMs, said, freedBytes } of runMaintenance(plan.tasks, {
      session,
      homeserver: maintenance.homeserver,
      signal,
    })) {
      if (ok) done += 1;
      else failed += 1;
      output.message('check', {
        task: task.kind,
        ok,
        duration_ms: Math.round(durationMs),
        said,
        freed_bytes: freedBytes ?? null,
      });
      const freed = freedBytes === undefined ? '' : `, ${formatBytes(freedBytes)} freed`;
      output.print(
        `${ok ? 'done  ' : 'FAILED'}  ${task.title}: ${said} (${formatDuration(durationMs)}${freed})`,
      );
    }
    output.message('summary', { command: 'maintenance', dry_run: false, ok: failed === 0, done, failed });
    return failed === 0 ? EXIT.ok : EXIT.failed;
  },
});

async function requireConfirmation(
  { tasks }: MaintenancePlan,
  { yes }: MaintenanceFlags,
  { ask }: CommandContext,
): Promise<void> {
  if (yes === true) return;
  const forEver = tasks.some(({ destructive }) => destructive) ? ' What is purged does not come back.' : '';
  if ((await ask(`Do this now?${forEver} Type yes to go on:`)) === 'yes') return;
  throw new LifeboatError('not-confirmed', 'maintenance was not confirmed; nothing was changed', {
    hint: 'Look at the plan with --dry-run, then repeat with --yes.',
  });
}
