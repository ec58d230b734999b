import { printableLine } from '../core/printable.ts';
import { formatBytes } from '../core/units.ts';
import type { ProgressEvent } from '../observe/index.ts';
import type { TextStream } from './terminal.ts';

/** Shows what a job is doing on standard error: one line that is written over on a terminal, plain lines elsewhere. */
export interface ProgressLine {
  show(event: ProgressEvent): void;
  /** Makes room for a line of text. */
  clear(): void;
}

/** A terminal need not be written to more often than a person can read. */
const INTERVAL_MS = 100;

export function createProgressLine(stream: TextStream, nowMs: () => number): ProgressLine {
  if (stream.isTTY !== true) return plainLines(stream);
  let lastMs = Number.NEGATIVE_INFINITY;
  let shown = false;
  return {
    show(event) {
      const isLast = event.total !== undefined && event.done === event.total;
      if (event.message === undefined && !isLast && nowMs() - lastMs < INTERVAL_MS) return;
      lastMs = nowMs();
      shown = true;
      stream.write(`\r\u001b[K${describe(event).slice(0, (stream.columns ?? 80) - 1)}`);
    },
    clear() {
      if (shown) stream.write('\r\u001b[K');
      shown = false;
    },
  };
}

/** In a file or a journal of systemd counts would be noise. */
function plainLines(stream: TextStream): ProgressLine {
  return {
    show: (event) => {
      if (event.message !== undefined) stream.write(`${describe(event)}\n`);
    },
    clear: () => undefined,
  };
}

function describe({ phase, message, done, total, unit }: ProgressEvent): string {
  const figure = (value: number) => (unit === 'bytes' ? formatBytes(value) : `${value}`);
  const word = unit === undefined || unit === 'bytes' ? '' : ` ${unit}`;
  const counted =
    done === undefined ? '' : `${figure(done)}${total === undefined ? '' : ` of ${figure(total)}`}${word}`;
  return printableLine(
    `${phase}: ${[message, counted].filter((part) => part !== undefined && part !== '').join(' ')}`,
  );
}
