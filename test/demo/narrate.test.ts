import { describe, expect, it } from 'vitest';
import { createNarrator } from '../../src/demo/narrate.ts';

/** Each look at the clock is a second later. */
function narrator(steps: number) {
  let seconds = 0;
  const written: string[] = [];
  const clock = { now: () => new Date(0), monotonicMs: () => (seconds += 1) * 1000 };
  return {
    narrator: createNarrator((text) => written.push(text), clock, steps),
    text: () => written.join(''),
  };
}

describe('the narrator of the demo', () => {
  it('numbers the steps, shows what is said in them, and how long they took', async () => {
    const { narrator: demo, text } = narrator(2);
    const result = await demo.step('Start servers', async () => {
      demo.say('one\ntwo');
      return 42;
    });
    await demo.step('Stop servers', async () => undefined);
    expect(result).toBe(42);
    expect(text()).toMatch(
      /^\n\[1\/2\] Start servers\n {6}one\n {6}two\n {6}done in \d\.0 s\n\n\[2\/2\] Stop servers\n/,
    );
    expect(demo.durations().map(({ title }) => title)).toEqual(['Start servers', 'Stop servers']);
  });

  it('says that a step broke off, and passes the error on', async () => {
    const { narrator: demo, text } = narrator(1);
    await expect(demo.step('Fail', () => Promise.reject(new Error('no disk')))).rejects.toThrow('no disk');
    expect(text()).toMatch(/broke off after \d\.0 s\n$/);
    expect(demo.durations()).toEqual([]);
  });

  it('aligns a table', () => {
    const { narrator: demo, text } = narrator(0);
    demo.table('Result', [
      ['RTO', '12 s'],
      ['checks', '57 passed'],
    ]);
    expect(text()).toBe('\nResult\n  RTO     12 s\n  checks  57 passed\n');
  });
});
