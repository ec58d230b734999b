import { messageOf, type LifeboatError } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import { maskSecrets, type Secret } from '../core/secret.ts';
import type { Progress } from '../observe/index.ts';
import type { GlobalFlags } from './flags.ts';
import { createBoard } from './progress/board.ts';
import { createJsonProgress } from './progress/json.ts';
import { createTallies } from './progress/tally.ts';
import { wantsColor, type TextStream } from './terminal.ts';

export interface Streams {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: NodeJS.ProcessEnv;
}

/** `summary` is the last line of a run that ended by itself, `error` of one that did not. */
export type MessageType =
  | 'progress'
  | 'lock'
  | 'check'
  | 'copy'
  | 'snapshot'
  | 'decision'
  | 'finding'
  | 'warning'
  | 'error'
  | 'summary';

/** The only door to standard output and error. Secrets are masked by value in all that goes through it. */
export interface Output {
  readonly json: boolean;
  readonly verbose: boolean;
  /** Whether results may be coloured, and how wide they may be. */
  readonly color: boolean;
  readonly columns: number;
  /** Whether a person reads the results. */
  readonly interactive: boolean;
  /** A result for people, on standard output; nothing with --json. */
  print(text: string): void;
  /** The same for a text with colours of ours, whose parts were made harmless one by one. */
  printStyled(text: string): void;
  /** A secret that is shown once, to a person: the one text that is not masked. Nothing with --json. */
  reveal(secret: Secret): void;
  /** A result for programs, one line on standard output; nothing without --json. */
  message(type: MessageType, fields: Readonly<Record<string, unknown>>): void;
  /** What people may want to know, on standard error; nothing with --quiet or --json. */
  note(text: string): void;
  warn(text: string): void;
  readonly progress: Progress;
  error(error: LifeboatError): void;
}

export function createOutput(streams: Streams, flags: GlobalFlags, nowMs = () => performance.now()): Output {
  const { stdout, stderr, env } = streams;
  const json = flags.json === true;
  const tallies = createTallies(nowMs);
  const board = createBoard(
    { isTTY: stderr.isTTY, columns: stderr.columns, write: (text) => stderr.write(maskSecrets(text)) },
    tallies,
    nowMs,
  );
  const write = (stream: TextStream, text: string) => {
    board.clear();
    stream.write(`${maskSecrets(text)}\n`);
  };
  const message: Output['message'] = (type, fields) => {
    if (json) write(stdout, JSON.stringify({ message_type: type, ...fields }));
  };
  const jsonFields = createJsonProgress(tallies, nowMs);
  return {
    json,
    verbose: flags.verbose === true,
    color: wantsColor(stdout, env, flags.color),
    columns: stdout.columns ?? 100,
    interactive: stdout.isTTY === true,
    message,
    print: (text) => {
      if (!json) write(stdout, printable(text));
    },
    printStyled: (text) => {
      if (!json) write(stdout, text);
    },
    reveal: (secret) => {
      board.clear();
      if (!json) stdout.write(`${secret.reveal()}\n`);
    },
    note: (text) => {
      if (!json && flags.quiet !== true) write(stderr, printable(text));
    },
    warn: (text) => {
      write(stderr, printable(`lifeboat: warning: ${text}`));
      message('warning', { message: text });
    },
    progress: (event) => {
      const fields = json ? jsonFields(event) : undefined;
      if (fields !== undefined) message('progress', fields);
      if (!json && flags.quiet !== true) board.show(event);
    },
    error: (error) => {
      write(stderr, printable(describeError(error, flags.verbose === true)));
      const { code, hints, context, exitStatus, transient } = error;
      message('error', { code, message: error.message, hints, context, exit_status: exitStatus, transient });
    },
  };
}

function describeError(error: LifeboatError, verbose: boolean): string {
  const [first = '', ...more] = error.message.split('\n');
  return [
    `lifeboat: error: ${first}`,
    ...more.map((text) => `  ${text}`),
    ...error.hints.map((hint) => `hint: ${hint}`),
    ...(verbose ? causesOf(error) : []),
  ].join('\n');
}

/** The chain below the error; with the stack of a fault of ours. */
function causesOf(error: LifeboatError): string[] {
  const causes: string[] = [];
  for (
    let cause = error.cause;
    cause !== undefined && causes.length < 10;
    cause = cause instanceof Error ? cause.cause : undefined
  ) {
    causes.push(
      `cause: ${error.code === 'internal' && cause instanceof Error ? (cause.stack ?? cause.message) : messageOf(cause)}`,
    );
  }
  return causes;
}
