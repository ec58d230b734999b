import { randomBytes } from 'node:crypto';
import type { Config } from '../config/index.ts';
import { EXIT, type LifeboatError } from '../core/errors.ts';
import {
  acquireLock,
  applyPriority,
  describeOwner,
  runAfterwards,
  runBefore,
  type HookContext,
  type RunLock,
} from '../jobs/run/index.ts';
import type { CommandContext } from './context.ts';
import type { Command, Input } from './definition.ts';
import { exitStatusOf, toLifeboatError } from './exit.ts';

/** Runs a command, and where it is a job whatever lifeboat.yaml puts around it. Nothing is put around a dry run. */
export async function runCommandAsJob(
  command: Command,
  input: Input,
  context: CommandContext,
): Promise<number> {
  const { job } = command;
  if (job === undefined || input.options['dryRun'] === true) return command.run(input, context);
  const config = await context.configIfAny();
  if (config === undefined) return command.run(input, context);
  const { output } = context;
  const runId = randomBytes(4).toString('hex');
  for (const problem of await applyPriority(config.priority)) output.warn(problem);
  const lock = job.exclusive ? await lockFor(job.name, runId, config, context) : undefined;
  try {
    return await withHooks(command, input, context, config, runId);
  } finally {
    await lock?.release();
  }
}

async function lockFor(
  job: string,
  runId: string,
  { file, repository: { stateDirectory } }: Config,
  { clock, output, repository }: CommandContext,
): Promise<RunLock> {
  const { id } = await repository();
  const lock = await acquireLock({ stateDirectory, job, runId, repositoryId: id, configFile: file, clock });
  if (lock.tookOverFrom !== undefined)
    output.note(
      `took over the lock of one that ended without a word: ${describeOwner(lock.tookOverFrom, clock.now())}`,
    );
  return lock;
}

async function withHooks(
  command: Command,
  input: Input,
  context: CommandContext,
  { hooks, file }: Config,
  runId: string,
): Promise<number> {
  const { output, signal } = context;
  const { name } = command.job!;
  const own = hooks[name];
  const about: HookContext = {
    job: name,
    runId,
    configFile: file,
    say: (line) => output.note(`hook: ${line}`),
    signal,
  };
  let exitStatus: number;
  try {
    await runBefore(own, about);
    exitStatus = await command.run(input, context);
  } catch (thrown) {
    // Not with the signal, which may be why it failed: who stops a run still wants to be told.
    const error: LifeboatError = toLifeboatError(thrown);
    const end = { exitStatus: exitStatusOf(error), error };
    for (const problem of await runAfterwards('on_error', own, { ...about, signal: undefined }, end))
      output.warn(problem);
    throw thrown;
  }
  const went = exitStatus === EXIT.ok || exitStatus === EXIT.omissions;
  const problems = await runAfterwards(went ? 'after' : 'on_error', own, about, { exitStatus });
  for (const problem of problems) output.warn(problem);
  return exitStatus === EXIT.ok && problems.length > 0 ? EXIT.omissions : exitStatus;
}
