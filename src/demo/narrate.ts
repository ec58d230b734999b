import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/units.ts';

/** Tells a person what happens while it happens. */
export interface Narrator {
  /** A numbered chapter, with its duration at the end; says where it broke if it throws. */
  step<Result>(title: string, act: () => Promise<Result>): Promise<Result>;
  /** A line of the present chapter. */
  say(text: string): void;
  /** Rows under a title, the first column as wide as its widest cell. */
  table(title: string, rows: readonly (readonly [string, string])[]): void;
  /** How long the chapters took, in their order. */
  durations(): readonly { readonly title: string; readonly ms: number }[];
}

const INDENT = '      ';

export function createNarrator(write: (text: string) => void, clock: Clock, steps: number): Narrator {
  const finished: { title: string; ms: number }[] = [];
  const line = (text: string) => write(`${text}\n`);
  return {
    step: async (title, act) => {
      line(`\n[${finished.length + 1}/${steps}] ${title}`);
      const started = clock.monotonicMs();
      const took = () => clock.monotonicMs() - started;
      try {
        const result = await act();
        finished.push({ title, ms: took() });
        line(`${INDENT}done in ${formatDuration(took())}`);
        return result;
      } catch (error) {
        line(`${INDENT}broke off after ${formatDuration(took())}`);
        throw error;
      }
    },
    say: (text) => line(text.replace(/^/gm, INDENT)),
    table: (title, rows) => {
      const width = Math.max(...rows.map(([name]) => name.length));
      line(`\n${title}`);
      for (const [name, value] of rows) line(`  ${name.padEnd(width)}  ${value}`);
    },
    durations: () => finished,
  };
}
