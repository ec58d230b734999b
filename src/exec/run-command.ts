import { execa } from 'execa';
import { childError, neverStarted, programOf, ruled, type ChildOptions } from './child.ts';

export interface RunOptions extends ChildOptions {
  readonly timeoutMs?: number | undefined;
  /** Written to standard input, which is empty otherwise. */
  readonly input?: string | Uint8Array | undefined;
  /** Throw `command-failed` when the exit status is not 0. */
  readonly check?: boolean | undefined;
}

export interface CommandResult {
  /** -1 when a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Characters of output kept: commands that say more are not for this function. */
const KEPT = 1024 * 1024;

/** Runs to its end. Errors: `command-missing`, `interrupted`, and with `check` `command-failed`. */
export async function runCommand(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const result = await execa(...programOf(argv), {
    ...ruled(options),
    input: options.input ?? '',
    maxBuffer: KEPT,
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
  });
  const { stdout, stderr } = result;
  const neverRan = neverStarted(result) || result.isCanceled;
  if (neverRan || (options.check === true && result.failed)) throw childError(argv, result, stderr);
  return { exitCode: result.exitCode ?? -1, stdout, stderr };
}
