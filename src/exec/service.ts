import { execa } from 'execa';
import { open } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { childError, GRACE_MS, programOf, ruled, type ChildOptions } from './child.ts';

export interface ServiceOptions extends ChildOptions {
  /** Appended to by the child itself; without it output is discarded. */
  readonly logFile?: string | undefined;
  /** `pipe`: talk to the child through its standard input and output (stderr goes to the log). */
  readonly stdio?: 'pipe' | undefined;
}

export interface Service {
  readonly pid: number;
  /** Only with `stdio: 'pipe'`. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  /** Resolves when it has ended, for whatever reason; -1 after a signal. */
  readonly ended: Promise<{ readonly exitCode: number }>;
  /** SIGTERM, and SIGKILL after the grace period. */
  stop(graceMs?: number): Promise<void>;
}

/** Errors: `command-missing`. A service that dies later is told by `ended`. */
export async function startService(argv: readonly string[], options: ServiceOptions = {}): Promise<Service> {
  const log = options.logFile === undefined ? undefined : await open(options.logFile, 'a', 0o600);
  try {
    // A descriptor of our own, so that the log goes on when we are gone; execa's types only name the first ten.
    const output = (log?.fd ?? 'ignore') as 'ignore' | 3;
    const child = execa(...programOf(argv), {
      ...ruled(options),
      stdin: options.stdio === 'pipe' ? 'pipe' : 'ignore',
      stdout: options.stdio === 'pipe' ? 'pipe' : output,
      stderr: output,
      buffer: false,
    });
    const ended = child.then((result) => ({ exitCode: result.exitCode ?? -1 }));
    if (child.pid === undefined) throw childError(argv, await child, '');
    return {
      pid: child.pid,
      stdin: child.stdin,
      stdout: child.stdout,
      ended,
      stop: async (graceMs = GRACE_MS) => {
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
        await ended;
        clearTimeout(timer);
      },
    };
  } finally {
    await log?.close();
  }
}
