import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Hook } from '../../../src/config/index.ts';
import { LifeboatError } from '../../../src/core/errors.ts';
import { runAfterwards, runBefore } from '../../../src/jobs/run/index.ts';

let directory: string;
let said: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-hooks-'));
  said = [];
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const shell = (text: string, timeoutMs = 10_000): Hook => ({
  label: text.split(' ')[0]!,
  argv: ['/bin/sh', '-c', text],
  timeoutMs,
});
const context = (signal?: AbortSignal) => ({
  job: 'backup',
  runId: 'abcd',
  configFile: '/etc/lifeboat/lifeboat.yaml',
  say: (line: string) => said.push(line),
  signal,
});
const hooks = (given: { before?: Hook[]; after?: Hook[]; onError?: Hook[] }) => ({
  before: [],
  after: [],
  onError: [],
  ...given,
});

describe('a hook', () => {
  it('before a job knows which job and run it is, and what it says is heard', async () => {
    await runBefore(
      hooks({ before: [shell('echo "$LIFEBOAT_HOOK $LIFEBOAT_JOB $LIFEBOAT_RUN_ID"; echo also >&2')] }),
      context(),
    );
    expect(said.toSorted()).toEqual(['also', 'before backup abcd']);
  });

  it('before a job that fails keeps the job and all later hooks from running', async () => {
    const later = shell(`touch ${directory}/later`);
    await expect(runBefore(hooks({ before: [shell('exit 4'), later] }), context())).rejects.toMatchObject({
      code: 'hook-failed',
      message: 'hook before backup (exit) failed with exit status 4',
    });
    await expect(stat(join(directory, 'later'))).rejects.toThrow('ENOENT');
  });

  it('before a job that ends with status 75 puts it off', async () => {
    await expect(runBefore(hooks({ before: [shell('exit 75')] }), context())).rejects.toMatchObject({
      code: 'hook-postponed',
      transient: true,
    });
  });

  it('that takes too long is ended with everything that it has started', async () => {
    const slow = shell(`sleep 300 & echo $! > ${directory}/pid; wait`, 500);
    await expect(runBefore(hooks({ before: [slow] }), context())).rejects.toMatchObject({
      message: 'hook before backup (sleep) was stopped after 500 ms',
    });
    const pid = Number(await readFile(join(directory, 'pid'), 'utf8'));
    await expect.poll(() => alive(pid)).toBe(false);
  });

  it('does not hold a run up by what it leaves in the background', async () => {
    await runBefore(hooks({ before: [shell(`sleep 300 & echo $! > ${directory}/pid`)] }), context());
    const pid = Number(await readFile(join(directory, 'pid'), 'utf8'));
    await expect.poll(() => alive(pid)).toBe(false);
  });

  it('has done its work when it ends, also where a daemon of its own session holds its output open', async () => {
    const daemon = shell(`setsid sleep 5 & echo started; exit 0`, 1500);
    await runBefore(hooks({ before: [daemon] }), context());
    expect(said).toEqual(['started']);
  });

  it('is ended by Ctrl-C', async () => {
    const controller = new AbortController();
    const running = runBefore(hooks({ before: [shell('echo here; sleep 300')] }), context(controller.signal));
    await expect.poll(() => said).toEqual(['here']);
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'interrupted' });
  });

  it('afterwards knows how the job went, and its failure stops no other hook', async () => {
    const error = new LifeboatError('disk-full', 'no space left');
    const onError = [
      shell('exit 1'),
      shell('echo "$LIFEBOAT_EXIT_STATUS $LIFEBOAT_ERROR_CODE $LIFEBOAT_ERROR"'),
    ];
    const problems = await runAfterwards('on_error', hooks({ onError }), context(), { exitStatus: 1, error });
    expect(problems).toEqual(['hook on_error of backup (exit) failed with exit status 1']);
    expect(said).toEqual(['1 disk-full no space left']);
  });

  it('that is no program is told by name', async () => {
    const missing: Hook = { label: '/nowhere/notify', argv: ['/nowhere/notify'], timeoutMs: 1000 };
    await expect(runBefore(hooks({ before: [missing] }), context())).rejects.toMatchObject({
      code: 'command-missing',
    });
    const problems = await runAfterwards('after', hooks({ after: [missing] }), context(), { exitStatus: 0 });
    expect(problems).toEqual([expect.stringContaining('notify is not installed')]);
  });
});

/** One that nobody has waited for yet has ended. */
async function alive(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => ' Z ');
  return !text.includes(' Z ');
}
