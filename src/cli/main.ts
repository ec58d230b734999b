/**
 * The command line: parse, call, print. A command is one file of `commands/`, a `Command` with its help, options and
 * exit statuses; `program.ts` hands all of them to commander. Commands get a `CommandContext` and print through its
 * `output`: results on standard output, everything else on standard error. They throw; `exit.ts` alone decides what a
 * thrown error means.
 */
import { systemClock } from '../core/clock.ts';
import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import { VERSION } from '../jobs/version.ts';
import { COMMANDS } from './commands/index.ts';
import { askPerson } from './ask.ts';
import { createContext, type CommandLineResult } from './context.ts';
import { exitStatusOf, toLifeboatError } from './exit.ts';
import type { GlobalFlags } from './flags.ts';
import { runCommandAsJob } from './job.ts';
import { createOutput, type Output, type Streams } from './output.ts';
import { parseCommandLine, type Invocation } from './program.ts';
import { abortOnSignals, type SignalSource } from './signals.ts';

export interface Surroundings extends Streams {
  /** For questions; nobody is asked where it is no terminal. */
  readonly stdin?: NodeJS.ReadStream;
  /** By default the process'. */
  readonly signals?: SignalSource;
}

/** Wider help is harder to read. */
const WIDEST_HELP = 100;

/** Resolves to the exit status; never rejects. */
export async function main(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  const { stdout } = surroundings;
  let output = createOutput(surroundings, flagsBeforeParsing(argv));
  try {
    const width = Math.min(stdout.columns ?? WIDEST_HELP, WIDEST_HELP);
    const invocation = parseCommandLine(argv, COMMANDS, { version: VERSION, width });
    if (invocation.kind === 'text') {
      stdout.write(invocation.text);
      return 0;
    }
    output = createOutput(surroundings, invocation.flags);
    return await run(invocation, output, surroundings);
  } catch (thrown) {
    const error = toLifeboatError(thrown);
    output.error(error);
    return exitStatusOf(error);
  }
}

async function run(
  { command, input, flags }: Invocation & { kind: 'run' },
  output: Output,
  { env, signals, stdin, stderr }: Surroundings,
): Promise<number> {
  const { signal, release } = abortOnSignals(signals ?? process);
  try {
    const ask = (question: string) => askPerson(question, { input: stdin, output: stderr, signal });
    const runCommandLine = (argv: readonly string[], more: Readonly<Record<string, string>>) =>
      runInside(argv, { ...env, ...more });
    return await runCommandAsJob(
      command,
      input,
      createContext({ flags, env, clock: systemClock, output, signal, ask, runCommandLine }),
    );
  } catch (thrown) {
    // Whatever broke because everything was being stopped is not the fault to tell.
    if (signal.aborted && !isLifeboatError(thrown, 'interrupted'))
      throw new LifeboatError('interrupted', 'interrupted', { cause: thrown });
    throw thrown;
  } finally {
    release();
  }
}

async function runInside(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<CommandLineResult> {
  const said = { stdout: '', stderr: '' };
  const into = (name: keyof typeof said) => ({
    write: (text: string) => {
      said[name] += text;
      return true;
    },
  });
  const exitStatus = await main(argv, { stdout: into('stdout'), stderr: into('stderr'), env });
  return { exitStatus, ...said };
}

/** An unknown option must be told as JSON too, to who asked for JSON. */
function flagsBeforeParsing(argv: readonly string[]): GlobalFlags {
  const end = argv.indexOf('--');
  return { json: argv.slice(0, end === -1 ? undefined : end).includes('--json') };
}
