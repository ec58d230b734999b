import type { Hook, JobHooks } from '../../config/index.ts';
import { isLifeboatError, LifeboatError, messageOf } from '../../core/errors.ts';
import { formatDuration } from '../../core/units.ts';
import { runGroup } from '../../exec/index.ts';

export type HookMoment = 'before' | 'after' | 'on_error';

export interface HookContext {
  readonly job: string;
  readonly runId: string;
  readonly configFile: string;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** How the job went, for `after` and `on_error`. */
export interface JobEnd {
  readonly exitStatus: number;
  readonly error?: LifeboatError | undefined;
}

/** sysexits.h: not now. A `before` hook that ends so puts the run off without an alarm. */
const EX_TEMPFAIL = 75;

/** In their order, up to the first that fails: then the job must not run. Errors: `hook-failed`, `hook-postponed`, `interrupted`. */
export async function runBefore(hooks: JobHooks, context: HookContext): Promise<void> {
  for (const hook of hooks.before) {
    const { exitCode, timedOut } = await runHook('before', hook, context, {});
    if (exitCode === 0) continue;
    if (exitCode === EX_TEMPFAIL && !timedOut)
      throw new LifeboatError('hook-postponed', `hook before ${context.job} (${hook.label}) says: not now`, {
        hint: 'It ended with status 75. Run the command again later.',
      });
    throw new LifeboatError(
      'hook-failed',
      `hook before ${context.job} (${hook.label}) ${describe(hook, exitCode, timedOut)}`,
      {
        hint: `Nothing was done. Mend the hook, or take it out of hooks.${context.job}.before in lifeboat.yaml.`,
      },
    );
  }
}

/** All of them, whatever each does. Resolves to what went wrong, one sentence each: the job has ended, and stays as it ended. */
export async function runAfterwards(
  moment: 'after' | 'on_error',
  hooks: JobHooks,
  context: HookContext,
  end: JobEnd,
): Promise<string[]> {
  const problems: string[] = [];
  for (const hook of moment === 'after' ? hooks.after : hooks.onError) {
    const name = `hook ${moment} of ${context.job} (${hook.label})`;
    try {
      const { exitCode, timedOut } = await runHook(moment, hook, context, endFacts(end));
      if (exitCode !== 0 || timedOut) problems.push(`${name} ${describe(hook, exitCode, timedOut)}`);
    } catch (error) {
      problems.push(`${name}: ${messageOf(error)}`);
      if (isLifeboatError(error, 'interrupted')) break;
    }
  }
  return problems;
}

function runHook(
  moment: HookMoment,
  { argv, timeoutMs }: Hook,
  { job, runId, configFile, say, signal }: HookContext,
  facts: Readonly<Record<string, string>>,
) {
  const env = {
    LIFEBOAT_JOB: job,
    LIFEBOAT_HOOK: moment,
    LIFEBOAT_RUN_ID: runId,
    LIFEBOAT_CONFIG: configFile,
    ...facts,
  };
  return runGroup(argv, { env, timeoutMs, signal, onLine: say });
}

/** Messages of ours are masked where they are made; an environment is seen by the same user and root only. */
function endFacts({ exitStatus, error }: JobEnd): Record<string, string> {
  return {
    LIFEBOAT_EXIT_STATUS: String(exitStatus),
    ...(error === undefined ? {} : { LIFEBOAT_ERROR_CODE: error.code, LIFEBOAT_ERROR: error.message }),
  };
}

function describe({ timeoutMs }: Hook, exitCode: number, timedOut: boolean): string {
  if (timedOut) return `was stopped after ${formatDuration(timeoutMs)}`;
  return exitCode === -1 ? 'was ended by a signal' : `failed with exit status ${exitCode}`;
}
