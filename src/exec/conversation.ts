import { execa } from 'execa';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { childError, GRACE_MS, programOf, ruled, type ChildOptions } from './child.ts';

/** A child that is spoken with through its standard input and output, such as ssh. */
export interface Conversation {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves with the end of what it said on standard error when it has ended, for whatever reason. */
  readonly ended: Promise<{ readonly stderr: string }>;
  /** Whether it keeps this process alive; it does at first. */
  keepAlive(keep: boolean): void;
  /** Closes its standard input; SIGTERM and SIGKILL if it does not end by itself. */
  stop(): void;
}

/** Characters of stderr kept. */
const STDERR_KEPT = 8 * 1024;
/** What a child wrote just before it ended may still be in the pipe, in ms. */
const LAST_WORDS_MS = 200;

/** Errors: `command-missing`. A child that dies later is told by `ended`. */
export async function startConversation(
  argv: readonly string[],
  options: ChildOptions = {},
): Promise<Conversation> {
  const child = execa(...programOf(argv), {
    ...ruled(options),
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
  });
  if (child.pid === undefined) throw childError(argv, await child, '');
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  // EPIPE says only that the child is gone; why stands in what it said.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<{ stderr: string }>((resolve) => {
    // Not the end of stderr alone: a program that ssh has left in the background (ControlPersist) may hold it open for hours.
    child.nodeChildProcess.once('exit', () => {
      const timer = setTimeout(() => resolve({ stderr }), LAST_WORDS_MS);
      child.stderr.once('close', () => {
        clearTimeout(timer);
        resolve({ stderr });
      });
    });
  });
  // Pipes are sockets to Node, with the `ref` and `unref` of these.
  const held = [
    child.nodeChildProcess,
    ...([child.stdin, child.stdout, child.stderr] as unknown as Socket[]),
  ];
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    ended,
    keepAlive: (keep) => {
      for (const each of held) {
        if (keep) each.ref();
        else each.unref();
      }
    },
    stop: () => {
      child.stdin.end();
      const timers = [
        setTimeout(() => child.kill('SIGTERM'), GRACE_MS).unref(),
        setTimeout(() => child.kill('SIGKILL'), 2 * GRACE_MS).unref(),
      ];
      void ended.then(() => timers.forEach(clearTimeout));
    },
  };
}
