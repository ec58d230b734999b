/**
 * The real restore: the drill's own steps 1 to 5, but for the start, into a new database and a new directory of this host. It starts nothing:
 * when a homeserver of this name may come back is a decision of people (docs/disaster.md). It can be run again after a crash
 * and goes on at the step that did not finish.
 */
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { LifeboatError } from '../core/errors.ts';
import type { PostgresTarget } from '../database/port.ts';
import { runCommand } from '../exec/index.ts';
import { relocate, startArgv } from '../homeserver/index.ts';
import type { Progress } from '../observe/index.ts';
import { runChecklist } from '../restore/checklist.ts';
import type { RestoreContext } from '../restore/context.ts';
import { JOURNAL_FILE, openJournal } from '../restore/journal.ts';
import type { RestoreSource } from '../restore/source.ts';
import type { Check, StepId, StepResult } from '../restore/step.ts';
import { restoreDatabaseStep } from '../restore/steps/restore-database.ts';
import { readyToStartStep } from '../restore/steps/first-start.ts';
import { restoreMediaStep } from '../restore/steps/restore-media.ts';
import { restoreSigningKeysStep } from '../restore/steps/restore-signing-keys.ts';
import { verifyConfigurationStep } from '../restore/steps/verify-configuration.ts';
import { ensurePrivateDirectory } from '../storage/durable-file.ts';
import { storedEventsChecks } from '../verify/stored-events-check.ts';

export interface RestoreOptions {
  readonly source: RestoreSource;
  /** Empty or new, or that of an unfinished restore of the same snapshot. */
  readonly directory: string;
  /** Exists and is empty. */
  readonly database: PostgresTarget;
  readonly program: string;
  readonly clientDirectory: string | undefined;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly onCheck?: ((step: StepId, check: Check) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RestoreOutcome {
  readonly result: 'PASS' | 'FAIL';
  readonly steps: readonly StepResult[];
  /** All -c files, the overlay last; empty when the restore did not get so far. */
  readonly configFiles: readonly string[];
  readonly startCommand: readonly string[];
  readonly mediaDirectory: string;
}

const CHECKLIST = [
  restoreDatabaseStep,
  restoreMediaStep,
  restoreSigningKeysStep,
  verifyConfigurationStep,
  readyToStartStep,
];

/** Errors: `target-not-empty`, `target-alive`, `interrupted`; what a step found stands in the outcome. */
export async function restore(options: RestoreOptions): Promise<RestoreOutcome> {
  const { source, database, clock, progress, signal } = options;
  const directory = resolve(options.directory);
  await claimDirectory(directory);
  const subject = {
    snapshot: source.id,
    serverName: source.serverName,
    database: `${database.host}:${database.port}/${database.database}`,
  };
  const journal = await openJournal(directory, subject, () => randomBytes(8).toString('hex'));
  const context: RestoreContext = {
    source,
    target: {
      directory,
      database,
      admin: undefined,
      mediaDirectory: join(directory, 'media_store'),
      keysDirectory: join(directory, 'keys'),
      configDirectory: join(directory, 'config'),
      clientDirectory: options.clientDirectory,
      sealed: false,
    },
    clock,
    progress,
    signal,
    journal,
    program: options.program,
    exec: ({ argv, env, cwd, timeoutMs }) =>
      runCommand(argv, { env, cwd: cwd ?? directory, timeoutMs, signal }),
    // The files belong to who runs the restore; `chown` to the homeserver's user is said in the end.
    handOver: () => Promise.resolve(),
    arrange: ({ merged, signingKeyPath, placed }) => {
      const place = { database, mediaStorePath: join(directory, 'media_store'), signingKeyPath, placed };
      const { yaml, changes } = relocate(merged, place);
      return { overlay: yaml, files: [], changes };
    },
    found: {},
  };
  const steps = await runChecklist(CHECKLIST, context, {
    clock,
    progress,
    onCheck: options.onCheck,
    signal,
    journal,
    stopAtFailure: true,
    furtherChecks: { 'restore-signing-keys': storedEventsChecks },
  });
  const { launch } = context.found;
  return {
    result: steps.every(({ result }) => result === 'pass' || result === 'warn') ? 'PASS' : 'FAIL',
    steps,
    configFiles: launch?.configFiles ?? [],
    startCommand: launch === undefined ? [] : startArgv(launch),
    mediaDirectory: context.target.mediaDirectory,
  };
}

async function claimDirectory(directory: string): Promise<void> {
  await ensurePrivateDirectory(directory);
  const names = await readdir(directory);
  if (names.length === 0 || names.includes(JOURNAL_FILE)) return;
  throw new LifeboatError('target-not-empty', `${directory} is not empty: ${names.slice(0, 5).join(', ')}`, {
    hint: 'Restore into a new directory; nothing is ever written over.',
    context: { directory },
  });
}
