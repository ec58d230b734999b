import { main } from './main.ts';

/** What a reader that went away (`lifeboat list | head`) leaves behind is no fault of ours. */
const CLOSED_PIPE = 'EPIPE';

/** How long something that was forgotten to be closed may keep a finished process alive, in ms. */
const LINGER_MS = 2000;

/** `main` for this very process. */
export async function runProcess(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== CLOSED_PIPE) throw error;
    });
  }
  const { stdin, stdout, stderr, env, argv } = process;
  process.exitCode = await main(argv.slice(2), { stdin, stdout, stderr, env });
  setTimeout(() => process.exit(), LINGER_MS).unref();
}
