import { describe, expect, it } from 'vitest';
import { createTallies } from '../../../src/cli/progress/tally.ts';
import { describeTally } from '../../../src/cli/progress/describe.ts';

function start() {
  const clock = { ms: 0 };
  const tallies = createTallies(() => clock.ms);
  return { clock, tallies };
}

describe('a tally', () => {
  it('knows the rate and the time left from the second figure on', () => {
    const { clock, tallies } = start();
    const first = tallies.add({ phase: 'media', done: 0, total: 1000, unit: 'files', bytes: 0 });
    expect(first).toMatchObject({ perSecond: undefined, secondsLeft: undefined });
    clock.ms = 1000;
    const second = tallies.add({ phase: 'media', done: 100, total: 1000, unit: 'files', bytes: 5000 });
    expect(second).toMatchObject({ perSecond: 100, bytesPerSecond: 5000, secondsLeft: 9 });
  });

  it('follows a change of the rate within a minute, and is not thrown by one figure', () => {
    const { clock, tallies } = start();
    tallies.add({ phase: 'x', done: 0, total: 1e6 });
    clock.ms = 1000;
    tallies.add({ phase: 'x', done: 100, total: 1e6 });
    clock.ms = 2000;
    expect(tallies.add({ phase: 'x', done: 1100, total: 1e6 }).perSecond).toBeLessThan(200);
    for (let second = 3; second <= 90; second += 1) {
      clock.ms = second * 1000;
      tallies.add({ phase: 'x', done: 1100 + (second - 2) * 1000, total: 1e6 });
    }
    expect(tallies.current()[0]!.perSecond).toBeGreaterThan(900);
  });

  it('of an attempt that begins again begins again', () => {
    const { clock, tallies } = start();
    tallies.add({ phase: 'database', lane: 'events', done: 500, total: 900, unit: 'bytes' });
    clock.ms = 1000;
    tallies.add({ phase: 'database', lane: 'events', done: 800, unit: 'bytes' });
    clock.ms = 2000;
    expect(tallies.add({ phase: 'database', lane: 'events', done: 0, unit: 'bytes' })).toMatchObject({
      done: 0,
      perSecond: undefined,
      secondsLeft: undefined,
    });
  });

  it('shows the phase first, then its lanes, and nothing of phases that are over', () => {
    const { tallies } = start();
    tallies.add({ phase: 'discover', message: 'reading' });
    tallies.add({ phase: 'database', lane: 'events', done: 1, unit: 'bytes' });
    tallies.add({ phase: 'database', message: 'dumping' });
    tallies.add({ phase: 'database', lane: 'the rest', done: 1, unit: 'bytes' });
    expect(tallies.current().map(({ lane }) => lane)).toEqual([undefined, 'events', 'the rest']);
  });
});

describe('the line of a tally', () => {
  const known = { phase: 'media', lane: undefined, message: undefined, perSecond: 100, bytesPerSecond: 1024 };

  it('has files, bytes, rate and time left', () => {
    const tally = { ...known, done: 300, total: 1200, unit: 'files', bytes: 2048, secondsLeft: 130 } as const;
    expect(describeTally(tally)).toBe(
      'media: [###.........] 300 of 1200 files, 2.0 KiB, 1.0 KiB/s, 2m 10s left',
    );
  });

  it('has no time left when all is done, and none where no end is known', () => {
    const tally = { ...known, done: 5, unit: 'files', bytes: undefined, bytesPerSecond: undefined } as const;
    expect(describeTally({ ...tally, total: 5, secondsLeft: 0 })).toBe(
      'media: [############] 5 of 5 files, 100/s',
    );
    expect(describeTally({ ...tally, total: undefined, secondsLeft: undefined })).toBe(
      'media: 5 files, 100/s',
    );
  });

  it('indents lanes below their phase', () => {
    const lane = {
      ...known,
      lane: 'events',
      done: 1024,
      total: 4096,
      unit: 'bytes',
      bytes: undefined,
    } as const;
    expect(describeTally({ ...lane, phase: 'database', perSecond: 512, secondsLeft: 6 })).toBe(
      '  events: [###.........] 1.0 KiB of 4.0 KiB, 512 B/s, 6.0 s left',
    );
  });
});
