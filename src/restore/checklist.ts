/**
 * Runs the steps of the recovery checklist in order and writes down what happened. It knows nothing of databases or
 * media: that is in `steps/`. The drill and the real restore both come through here.
 */
import { LifeboatError, messageOf } from '../core/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { Progress } from '../observe/progress.ts';
import type { Journal } from './journal.ts';
import type { Check, Step, StepId, StepResult } from './step.ts';

export interface ChecklistOptions<Context> {
  readonly clock: Clock;
  readonly progress: Progress;
  readonly onCheck?: ((step: StepId, check: Check) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Proofs from rooms above this one (signatures of old events, the federation probe), run after a step's own checks. */
  readonly furtherChecks?: Partial<Record<StepId, (context: Context) => AsyncIterable<Check>>>;
  /** Steps that are done already are not applied again; their checks are. */
  readonly journal?: Journal | undefined;
  /** The real restore stops at the first failure; a drill goes on to name everything. */
  readonly stopAtFailure: boolean;
}

export async function runChecklist<Context>(
  steps: readonly Step<Context>[],
  context: Context,
  options: ChecklistOptions<Context>,
): Promise<StepResult[]> {
  const results: StepResult[] = [];
  for (const step of steps) {
    const blocker = results.find((done) => isBlocking(done, step, options.stopAtFailure));
    const result =
      blocker === undefined
        ? await runStep(step, context, options)
        : skippedStep(step, blocker, options.clock);
    results.push(result);
    options.progress({ phase: step.id, message: `${step.number} ${step.title}: ${result.result}` });
  }
  return results;
}

function isBlocking<Context>(done: StepResult, step: Step<Context>, stopAtFailure: boolean): boolean {
  if (done.result === 'pass' || done.result === 'warn') return false;
  if (stopAtFailure) return done.result === 'fail';
  return step.requires.includes(done.id);
}

async function runStep<Context>(
  step: Step<Context>,
  context: Context,
  options: ChecklistOptions<Context>,
): Promise<StepResult> {
  const { clock, progress, journal } = options;
  const startedAt = clock.now().toISOString();
  progress({ phase: step.id, message: `${step.number} ${step.title}` });
  const applyStart = clock.monotonicMs();
  let applyMs = 0;
  const checks: Check[] = [];
  let error: StepResult['error'];
  try {
    options.signal?.throwIfAborted();
    if (step.repeat === true || journal?.isDone(step.id) !== true) {
      await journal?.started(step.id);
      await step.apply(context);
    }
    applyMs = clock.monotonicMs() - applyStart;
    for await (const check of timedChecks(step, context, options)) {
      checks.push(check);
      options.onCheck?.(step.id, check);
    }
  } catch (thrown) {
    if (options.signal?.aborted === true)
      throw new LifeboatError('interrupted', 'interrupted', { cause: thrown });
    applyMs ||= clock.monotonicMs() - applyStart;
    error = describeError(thrown);
  }
  if (error === undefined && checks.length === 0) checks.push(nothingChecked(step));
  const result = error === undefined ? worst(checks) : 'fail';
  // Not before: what has failed a check is applied again by the next run.
  await (result === 'fail' ? journal?.forget(step.id) : journal?.done(step.id));
  return {
    id: step.id,
    number: step.number,
    title: step.title,
    result,
    startedAt,
    applyMs,
    checkMs: clock.monotonicMs() - applyStart - applyMs,
    checks,
    error,
  };
}

async function* timedChecks<Context>(
  step: Step<Context>,
  context: Context,
  options: ChecklistOptions<Context>,
): AsyncGenerator<Check> {
  const { clock } = options;
  for (const look of [step.check.bind(step), options.furtherChecks?.[step.id]]) {
    if (look === undefined) continue;
    let last = clock.monotonicMs();
    for await (const check of look(context)) {
      const now = clock.monotonicMs();
      yield { ...check, durationMs: check.durationMs ?? now - last };
      last = now;
    }
  }
}

function skippedStep<Context>(step: Step<Context>, blocker: StepResult, clock: Clock): StepResult {
  const check: Check = {
    id: `${step.id}.skipped`,
    title: `not run, because step ${blocker.number} (${blocker.title}) did not pass`,
    result: 'skip',
  };
  return {
    id: step.id,
    number: step.number,
    title: step.title,
    result: 'skip',
    startedAt: clock.now().toISOString(),
    applyMs: 0,
    checkMs: 0,
    checks: [check],
  };
}

/** A step that looked at nothing has shown nothing. */
function nothingChecked<Context>(step: Step<Context>): Check {
  return {
    id: `${step.id}.unchecked`,
    title: 'the step was checked',
    result: 'fail',
    expected: 'at least 1 check',
    observed: 'nothing was checked',
  };
}

function worst(checks: readonly Check[]): StepResult['result'] {
  const results = new Set(checks.map((check) => check.result));
  if (results.has('fail')) return 'fail';
  if (results.has('warn')) return 'warn';
  return results.has('pass') ? 'pass' : 'skip';
}

function describeError(thrown: unknown): NonNullable<StepResult['error']> {
  if (thrown instanceof LifeboatError)
    return { code: thrown.code, message: thrown.message, hints: thrown.hints };
  return { code: 'internal', message: messageOf(thrown), hints: [] };
}
