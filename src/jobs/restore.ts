/**
 * The real restore: the drill's own steps 1 to 5, but for the start, into a new database and a new directory of this host. It starts nothing:
 * when a homeserver of this name may come back is a decision of people (docs/disaster.md). It can be run again after a crash
 * and goes on at the step that did not finish.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseYaml } from '../config/yaml.ts';
import type { Clock } from '../core/clock.ts';
import { LifeboatError } from '../core/errors.ts';
import type { PostgresTarget } from '../database/port.ts';
import { findProgram, runCommand } from '../exec/index.ts';
import { relocate, startArgv } from '../homeserver/index.ts';
import type { Progress } from '../observe/index.ts';
import { runChecklist } from '../restore/checklist.ts';
import type { RestoreContext } from '../restore/context.ts';
import { requireDumps } from './physical-by-hand.ts';
import { removeMark, requireFreeDatabase } from '../restore/empty-database.ts';
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
  /** For databases beside the homeserver's, by label; each exists and is empty. */
  readonly others?: ReadonlyMap<string, PostgresTarget> | undefined;
  readonly program: string;
  readonly clientDirectory: string | undefined;
  /** Load functions, triggers and extensions that the homeserver's schema does not have. */
  readonly allowCode?: boolean | undefined;
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
  /** SQL that makes the roles that the databases had; undefined when the snapshot does not know them. */
  readonly rolesFile: string | undefined;
}

const CHECKLIST = [
  restoreDatabaseStep,
  restoreMediaStep,
  restoreSigningKeysStep,
  verifyConfigurationStep,
  readyToStartStep,
];

/**
 * Errors: `target-not-empty`, `target-unfit`, `target-alive` and `database-*` before anything is written, `interrupted`; what a step found
 * stands in the outcome.
 */
export async function restore(options: RestoreOptions): Promise<RestoreOutcome> {
  const { source, database, clock, progress, signal } = options;
  const others = options.others ?? new Map<string, PostgresTarget>();
  requireKnown(others, source);
  const directory = resolve(options.directory);
  requireDumps(source);
  await requireFreeDirectory(directory);
  const subject = {
    snapshot: source.id,
    serverName: source.serverName,
    database: `${database.host}:${database.port}/${database.database}`,
  };
  const journal = await openJournal(directory, subject, () => randomBytes(8).toString('hex'));
  const removeMarks = async () => {
    for (const one of [database, ...others.values()]) await removeMark(one, journal);
  };
  if (CHECKLIST.every(({ id }) => journal.isDone(id))) {
    await removeMarks();
    throw new LifeboatError('target-not-empty', `the restore into ${directory} is finished`, {
      hint: 'Start the homeserver there, or restore into a new directory and a new database.',
      context: { directory },
    });
  }
  await requireFreeDatabase(database, journal);
  for (const other of others.values()) await requireFreeDatabase(other, journal, 'other');
  await ensurePrivateDirectory(directory);
  const prefix = await endingWithUs();
  const context: RestoreContext = {
    source,
    target: {
      directory,
      database,
      others,
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
    allowCode: options.allowCode,
    exec: ({ argv, env, cwd, timeoutMs }) =>
      runCommand([...prefix, ...argv], { env, cwd: cwd ?? directory, timeoutMs, signal }),
    // The files belong to who runs the restore; `chown` to the homeserver's user is said in the end.
    handOver: () => Promise.resolve(),
    arrange: async ({ merged, signingKeyPath, placed }) => {
      const logConfigPath = join(directory, 'config', 'lifeboat-log.yaml');
      const mediaStorePath = join(directory, 'media_store');
      const logging = await restoredLogging(merged, placed);
      const place = { database, mediaStorePath, signingKeyPath, placed, runDirectory: directory };
      const moved = relocate(merged, { ...place, logConfigPath, logging });
      const files = moved.logging === undefined ? [] : [{ path: logConfigPath, text: moved.logging }];
      return { overlay: moved.yaml, files, changes: moved.changes };
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
  const passed = steps.every(({ result }) => result === 'pass' || result === 'warn');
  if (passed) await removeMarks();
  const rolesFile = passed ? await writeRoles(source, directory) : undefined;
  return {
    result: passed ? 'PASS' : 'FAIL',
    steps,
    configFiles: launch?.configFiles ?? [],
    startCommand: launch === undefined ? [] : startArgv(launch),
    mediaDirectory: context.target.mediaDirectory,
    rolesFile,
  };
}

async function writeRoles({ rolesSql = [] }: RestoreSource, directory: string): Promise<string | undefined> {
  if (rolesSql.length === 0) return undefined;
  const file = join(directory, 'database-roles.sql');
  await writeFile(file, `${rolesSql.join('\n')}\n`, { mode: 0o600 });
  return file;
}

/** Errors: `usage` naming the databases that the snapshot has. */
function requireKnown(others: ReadonlyMap<string, PostgresTarget>, { databases = [] }: RestoreSource): void {
  const known = databases.map(({ label }) => label);
  const unknown = [...others.keys()].find((label) => !known.includes(label));
  if (unknown === undefined) return;
  throw new LifeboatError('usage', `the snapshot has no database ${unknown} besides the homeserver's`, {
    hint: known.length === 0 ? 'It has none at all: leave --also out.' : `It has: ${known.join(', ')}.`,
  });
}

/** What `log_config` names, parsed; undefined when it was not restored. */
async function restoredLogging(
  merged: Readonly<Record<string, unknown>>,
  placed: Readonly<Record<string, string>>,
): Promise<unknown> {
  const named = merged['log_config'];
  const file = typeof named === 'string' ? placed[named] : undefined;
  return file === undefined ? undefined : parseYaml(await readFile(file, 'utf8'), file);
}

/**
 * What stands before a command so that the kernel ends it when we are killed: pg_restore would go on for hours, into a
 * database that is to be restored again. Nothing where setpriv (util-linux) is not there, or another one.
 */
async function endingWithUs(): Promise<readonly string[]> {
  const setpriv = findProgram('setpriv');
  if (setpriv === undefined) return [];
  const prefix = [setpriv, '--pdeathsig=KILL', '--'];
  const { exitCode } = await runCommand([...prefix, setpriv, '--version']);
  return exitCode === 0 ? prefix : [];
}

async function requireFreeDirectory(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw new LifeboatError('file-unreadable', `cannot read ${directory}: ${error.message}`, {
      cause: error,
    });
  });
  if (names.length === 0 || names.includes(JOURNAL_FILE)) return;
  throw new LifeboatError('target-not-empty', `${directory} is not empty: ${names.slice(0, 5).join(', ')}`, {
    hint: 'Restore into a new directory; nothing is ever written over.',
    context: { directory },
  });
}
