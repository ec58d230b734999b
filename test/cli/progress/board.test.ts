import { expect, it } from 'vitest';
import { createBoard } from '../../../src/cli/progress/board.ts';
import { createJsonProgress } from '../../../src/cli/progress/json.ts';
import { createTallies } from '../../../src/cli/progress/tally.ts';

const ESCAPE = '\u001b';
/** Of the control codes only those that the board uses. */
const PARTS = new RegExp(`${ESCAPE}\\[1A|${ESCAPE}\\[J|\r|\n|[^${ESCAPE}\r\n]+`, 'g');

/** What a terminal shows after all that was written. */
function shown(written: string): string[] {
  let lines = [''];
  for (const [part] of written.matchAll(PARTS)) {
    if (part === '\n') lines.push('');
    else if (part === '\u001b[J') lines[lines.length - 1] = '';
    else if (part === '\u001b[1A') lines = lines.slice(0, -1);
    else if (part !== '\r') lines[lines.length - 1] += part;
  }
  return lines;
}

it('writes a line a lane over and over, and takes all of them away', () => {
  let written = '';
  const clock = { ms: 0 };
  const stream = { isTTY: true, columns: 80, write: (text: string) => (written += text) };
  const board = createBoard(
    stream,
    createTallies(() => clock.ms),
    () => clock.ms,
  );
  board.show({ phase: 'database', message: 'dumping synapse' });
  for (let step = 1; step <= 5; step += 1) {
    clock.ms += 1000;
    board.show({ phase: 'database', lane: 'events', done: step * 1024, total: 5120, unit: 'bytes' });
    clock.ms += 1000;
    board.show({ phase: 'database', lane: 'the rest', done: step * 10, unit: 'bytes' });
  }
  expect(shown(written)).toEqual([
    'database: dumping synapse',
    '  events: [############] 5.0 KiB of 5.0 KiB, 512 B/s',
    '  the rest: 50 B, 5 B/s',
  ]);
  board.clear();
  expect(shown(written)).toEqual(['']);
});

it('gives readers of JSON lines each lane once a second, with rate and time left', () => {
  const clock = { ms: 0 };
  const fields = createJsonProgress(
    createTallies(() => clock.ms),
    () => clock.ms,
  );
  const lines: unknown[] = [];
  for (clock.ms = 0; clock.ms <= 2000; clock.ms += 500) {
    for (const lane of ['a', 'b'])
      lines.push(fields({ phase: 'database', lane, done: clock.ms, total: 4000, unit: 'bytes' }));
  }
  const told = lines.filter((line) => line !== undefined);
  expect(told).toHaveLength(6);
  expect(told.at(-1)).toEqual({
    phase: 'database',
    lane: 'b',
    done: 2000,
    total: 4000,
    unit: 'bytes',
    per_second: 1000,
    seconds_left: 2,
  });
});
