import type { ProgressEvent } from '../../observe/index.ts';
import type { TextStream } from '../terminal.ts';
import { describeTally } from './describe.ts';
import type { Tallies } from './tally.ts';

/** Shows what a job is doing on standard error: a few lines that are written over on a terminal, plain lines elsewhere. */
export interface Board {
  show(event: ProgressEvent): void;
  /** Makes room for a line of text. */
  clear(): void;
}

/** A terminal need not be written to more often than a person can read. */
const INTERVAL_MS = 100;
/** Dumps of many lanes, on a small terminal. */
const MOST_LINES = 12;

export function createBoard(stream: TextStream, tallies: Tallies, nowMs: () => number): Board {
  if (stream.isTTY !== true) return plainLines(stream, tallies);
  let lastMs = Number.NEGATIVE_INFINITY;
  let lines = 0;
  const erase = () => (lines === 0 ? '' : `\r${'\u001b[1A'.repeat(lines - 1)}\u001b[J`);
  return {
    show(event) {
      tallies.add(event);
      const isLast = event.total !== undefined && event.done === event.total;
      if (event.message === undefined && !isLast && nowMs() - lastMs < INTERVAL_MS) return;
      lastMs = nowMs();
      const width = (stream.columns ?? 80) - 1;
      const texts = tallies
        .current()
        .slice(0, MOST_LINES)
        .map((tally) => describeTally(tally).slice(0, width));
      stream.write(`${erase()}${texts.join('\n')}`);
      lines = texts.length;
    },
    clear() {
      if (lines > 0) stream.write(erase());
      lines = 0;
    },
  };
}

/** In a file or a journal of systemd counts would be noise. */
function plainLines(stream: TextStream, tallies: Tallies): Board {
  return {
    show: (event) => {
      const tally = tallies.add(event);
      if (event.message !== undefined) stream.write(`${describeTally({ ...tally, ...WITHOUT_PACE })}\n`);
    },
    clear: () => undefined,
  };
}

const WITHOUT_PACE = { perSecond: undefined, bytesPerSecond: undefined, secondsLeft: undefined };
