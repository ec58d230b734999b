import { execa } from 'execa';
import { createInterface } from 'node:readline';
import { GRACE_MS, neverStarted, programOf, ruled, childError, type ChildOptions } from './child.ts';

export interface GroupOptions extends ChildOptions {
  readonly timeoutMs: number;
  /** Each line that it says, on whichever of its two streams. */
  readonly onLine: (line: string) => void;
}

export interface GroupResult {
  /** -1 when a signal ended it. */
  readonly exitCode: number;
  readonly timedOut: boolean;
}

/** What it wrote just before it ended may still be in the pipe. */
const LAST_WORDS_MS = 200;

/**
 * Other people's programs, which may start more of their own: a process group, which ends as a whole at the time limit or with
 * the signal, SIGTERM first. Errors: `command-missing`, `interrupted`.
 */
export async function runGroup(argv: readonly string[], options: GroupOptions): Promise<GroupResult> {
  const { signal, ...rules } = options;
  signal?.throwIfAborted();
  const child = execa(...programOf(argv), {
    ...ruled(rules),
    detached: true,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
  });
  const { pid } = child;
  if (pid === undefined) throw childError(argv, await child, '');
  let timedOut = false;
  const timers: NodeJS.Timeout[] = [];
  const streams = [child.stdout, child.stderr];
  const end = (): void => {
    endGroup(pid, 'SIGTERM');
    timers.push(setTimeout(() => endGroup(pid, 'SIGKILL'), GRACE_MS));
  };
  timers.push(
    setTimeout(() => {
      timedOut = true;
      end();
    }, options.timeoutMs),
  );
  signal?.addEventListener('abort', end, { once: true });
  child.nodeChildProcess.once('exit', () => {
    for (const timer of timers) clearTimeout(timer);
    // What it left in the background would go on without a time limit; a daemon that left the group holds our pipes.
    endGroup(pid, 'SIGKILL');
    timers.push(setTimeout(() => streams.forEach((stream) => stream.destroy()), LAST_WORDS_MS));
  });
  try {
    const lines = streams.map((stream) => createInterface({ input: stream }).on('line', options.onLine));
    const result = await child;
    for (const each of lines) each.close();
    if (neverStarted(result)) throw childError(argv, result, '');
    if (signal?.aborted === true) throw childError(argv, { ...result, isCanceled: true }, '');
    return { exitCode: result.exitCode ?? -1, timedOut };
  } finally {
    signal?.removeEventListener('abort', end);
    for (const timer of timers) clearTimeout(timer);
  }
}

function endGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // It has ended.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
