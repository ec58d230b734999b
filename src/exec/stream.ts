import { execa } from 'execa';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { messageOf } from '../core/errors.ts';
import { childError, programOf, ruled, type ChildOptions } from './child.ts';

export interface StreamOptions extends ChildOptions {
  /** Of streamOut: written to standard input, which then stays open as long as both of us live; its end tells the child of ours. */
  readonly heldInput?: string | undefined;
  /** Whether what the child said and how it ended is good; by default exit status 0. Returns what is wrong. */
  readonly judge?: ((stderr: string) => string | undefined) | undefined;
}

/** Characters of stderr kept for the error message. */
const STDERR_KEPT = 64 * 1024;

/**
 * The child's standard output as data. The stream ends only after the child has exited with status 0; otherwise it is
 * destroyed with `command-failed` (Node's own pipes end cleanly although the child exits with 3).
 */
export function streamOut(
  argv: readonly string[],
  options: StreamOptions = {},
): { stdout: Readable; done: Promise<{ stderr: string }> } {
  const child = execa(...programOf(argv), {
    ...ruled(options),
    stdin: options.heldInput === undefined ? 'ignore' : 'pipe',
    buffer: { stdout: false },
    maxBuffer: STDERR_KEPT,
  });
  // EPIPE says only that the child is gone; why stands in its exit status.
  child.stdin?.on('error', () => undefined).write(options.heldInput);
  const stdout = new PassThrough();
  child.stdout?.on('error', (error) => stdout.destroy(error)).pipe(stdout, { end: false });
  stdout.on('close', () => {
    // The reader gave up: do not leave a dump running behind it.
    if (!stdout.readableEnded) child.kill();
  });
  const done = child.then((result) => {
    const stderr = String(result.stderr ?? '');
    if (result.failed) throw childError(argv, result, stderr);
    return { stderr };
  });
  done.then(
    () => stdout.end(),
    (error: unknown) => stdout.destroy(error instanceof Error ? error : new Error(messageOf(error))),
  );
  return { stdout, done };
}

/** The child's standard input as a sink; `done` says how it ended. A child that ends early fails the sink with its own words. */
export function streamIn(
  argv: readonly string[],
  options: StreamOptions = {},
): { stdin: Writable; done: Promise<{ stderr: string }> } {
  const child = execa(...programOf(argv), {
    ...ruled(options),
    stdout: 'ignore',
    maxBuffer: STDERR_KEPT,
    stdin: 'pipe',
  });
  const stdin = new PassThrough();
  // EPIPE says only that the child is gone; why stands in its exit status.
  child.stdin?.on('error', () => undefined);
  if (child.stdin !== null && child.stdin !== undefined) stdin.pipe(child.stdin);
  const done = child.then((result) => {
    const stderr = String(result.stderr ?? '');
    if (!result.failed) return { stderr };
    const error = childError(argv, result, stderr);
    stdin.destroy(error);
    throw error;
  });
  done.catch(() => undefined);
  return { stdin, done };
}
