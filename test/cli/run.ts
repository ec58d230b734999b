import type { SignalSource } from '../../src/cli/signals.ts';
import { main } from '../../src/cli/main.ts';

export interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Of --json. */
  readonly messages: readonly Readonly<Record<string, unknown>>[];
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Standard output and error are a terminal. */
  readonly tty?: boolean;
  readonly signals?: SignalSource;
}

const NO_SIGNALS: SignalSource = { on: () => undefined, off: () => undefined, exit: () => undefined };

/** The command line as a person or a script meets it, in this process. */
export async function lifeboat(argv: readonly string[], options: RunOptions = {}): Promise<Run> {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written) => ({
    isTTY: options.tty === true,
    columns: 100,
    write: (text: string) => (written[name] += text),
  });
  const status = await main(argv, {
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    env: options.env ?? {},
    signals: options.signals ?? NO_SIGNALS,
  });
  return {
    status,
    ...written,
    get messages() {
      const lines = written.stdout.split('\n').slice(0, -1);
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
}
