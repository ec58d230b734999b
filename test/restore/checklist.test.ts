import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../src/core/errors.ts';
import { silent } from '../../src/observe/index.ts';
import { runChecklist, type ChecklistOptions } from '../../src/restore/checklist.ts';
import type { Journal } from '../../src/restore/journal.ts';
import type { Check, Step, StepId } from '../../src/restore/step.ts';

const pass: Check = { id: 'x', title: 'x', result: 'pass' };
const fail: Check = { id: 'y', title: 'y', result: 'fail' };

interface Log {
  applied: StepId[];
}

function step(
  id: StepId,
  number: Step<Log>['number'],
  options: Partial<Step<Log>> & { checks?: Check[]; error?: Error } = {},
): Step<Log> {
  return {
    id,
    number,
    title: id,
    requires: [],
    apply: async (log) => {
      log.applied.push(id);
      if (options.error !== undefined) throw options.error;
    },
    // oxlint-disable-next-line require-yield
    async *check() {
      yield* options.checks ?? [pass];
    },
    ...options,
  };
}

/** A clock that advances by 10 ms each time it is asked. */
function options(more: Partial<ChecklistOptions<Log>> = {}): ChecklistOptions<Log> {
  let now = 0;
  return {
    clock: { now: () => new Date(0), monotonicMs: () => (now += 10) },
    progress: silent,
    stopAtFailure: false,
    ...more,
  };
}

describe('the checklist', () => {
  it('runs steps in order and tells the time of apply and check apart', async () => {
    const log: Log = { applied: [] };
    const results = await runChecklist(
      [step('restore-database', 1), step('restore-media', 2)],
      log,
      options(),
    );
    expect(log.applied).toEqual(['restore-database', 'restore-media']);
    expect(results.map(({ result }) => result)).toEqual(['pass', 'pass']);
    expect(results[0]!.applyMs).toBe(10);
    expect(results[0]!.checkMs).toBeGreaterThan(0);
  });

  it('skips what requires a failed step, and runs what does not', async () => {
    const log: Log = { applied: [] };
    const steps = [
      step('restore-database', 1, { checks: [pass, fail] }),
      step('restore-media', 2),
      step('start-services', 5, { requires: ['restore-database'] }),
      step('test-federation', 6, { requires: ['start-services'] }),
    ];
    const results = await runChecklist(steps, log, options());
    expect(results.map(({ result }) => result)).toEqual(['fail', 'pass', 'skip', 'skip']);
    expect(results[2]!.checks[0]!.title).toContain('step 1 (restore-database)');
    expect(log.applied).toEqual(['restore-database', 'restore-media']);
  });

  it('stops at the first failure when it is told to', async () => {
    const log: Log = { applied: [] };
    const results = await runChecklist(
      [step('restore-database', 1, { checks: [fail] }), step('restore-media', 2)],
      log,
      options({ stopAtFailure: true }),
    );
    expect(results.map(({ result }) => result)).toEqual(['fail', 'skip']);
  });

  it('tells the error of a step with its code and hints', async () => {
    const error = new LifeboatError('target-not-empty', 'not empty', { hint: 'Empty it.' });
    const [result] = await runChecklist([step('restore-database', 1, { error })], { applied: [] }, options());
    expect(result).toMatchObject({
      result: 'fail',
      error: { code: 'target-not-empty', message: 'not empty', hints: ['Empty it.'] },
    });
  });

  it('runs further checks after the step’s own, and a failure there fails the step', async () => {
    const seen: string[] = [];
    const furtherChecks = {
      async *'restore-database'() {
        yield fail;
      },
    };
    const [result] = await runChecklist(
      [step('restore-database', 1)],
      { applied: [] },
      options({ furtherChecks, onCheck: (_step, check) => seen.push(check.id) }),
    );
    expect(result!.result).toBe('fail');
    expect(seen).toEqual(['x', 'y']);
  });

  it('does not apply again what the journal calls done, but for steps that repeat', async () => {
    const log: Log = { applied: [] };
    const done: StepId[] = [];
    const journal = journalOf(done, () => true);
    await runChecklist(
      [step('restore-database', 1), step('restore-signing-keys', 3, { repeat: true })],
      log,
      options({ journal }),
    );
    expect(log.applied).toEqual(['restore-signing-keys']);
    expect(done).toEqual(['restore-database', 'restore-signing-keys']);
  });

  it('calls a step done only when its checks have passed, so that the next run applies it again', async () => {
    const done: StepId[] = [];
    const failing: Check = { id: 'x', title: 'x', result: 'fail' };
    await runChecklist(
      [step('restore-database', 1, { checks: [failing] }), step('restore-media', 2)],
      { applied: [] },
      options({ journal: journalOf(done, () => false), stopAtFailure: false }),
    );
    expect(done).toEqual(['restore-media']);
  });

  it('ends with `interrupted` when it is aborted, instead of a result', async () => {
    const controller = new AbortController();
    const steps = [
      step('restore-database', 1, { apply: async () => controller.abort() }),
      step('restore-media', 2),
    ];
    await expect(
      runChecklist(steps, { applied: [] }, options({ signal: controller.signal })),
    ).rejects.toMatchObject({ code: 'interrupted' });
  });
});

it('a step that checked nothing fails, and says so', async () => {
  const [result] = await runChecklist([step('restore-media', 2, { checks: [] })], { applied: [] }, options());
  expect(result).toMatchObject({
    result: 'fail',
    checks: [{ id: 'restore-media.unchecked', result: 'fail', observed: 'nothing was checked' }],
  });
});

function journalOf(done: StepId[], isDone: (step: StepId) => boolean): Journal {
  return {
    restoreId: 'r',
    isDone,
    started: async () => undefined,
    done: async (id) => void done.push(id),
    forget: async () => undefined,
  };
}
