import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import type { TextStream } from './terminal.ts';

interface Person {
  readonly input: NodeJS.ReadStream | undefined;
  readonly output: TextStream;
  readonly signal: AbortSignal;
}

/** One line; undefined when the input is no terminal: a script must not hang on a question that nobody sees. */
export async function askPerson(
  question: string,
  { input, output, signal }: Person,
): Promise<string | undefined> {
  if (input?.isTTY !== true) return undefined;
  const shown = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      output.write(chunk.toString());
      done();
    },
  });
  const lines = createInterface({ input, output: shown });
  try {
    return (await lines.question(`${question} `, { signal })).trim();
  } finally {
    lines.close();
  }
}
