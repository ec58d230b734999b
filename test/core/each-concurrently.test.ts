import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { eachConcurrently } from '../../src/core/each-concurrently.ts';

describe('eachConcurrently', () => {
  it('has as many calls under way as it may, and never more', async () => {
    let running = 0;
    let most = 0;
    const done: number[] = [];
    await eachConcurrently([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      running += 1;
      most = Math.max(most, running);
      for (let turns = item % 3; turns >= 0; turns -= 1) await turn();
      running -= 1;
      done.push(item);
    });
    expect(most).toBe(3);
    expect(done.toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('begins nothing after an error, and rejects with it when the others have ended', async () => {
    const begun: number[] = [];
    let ended = 0;
    const running = eachConcurrently([1, 2, 3, 4, 5], 2, async (item) => {
      begun.push(item);
      await turn();
      if (item === 2) throw new Error('second');
      for (let turns = 0; turns < 5; turns += 1) await turn();
      ended += 1;
    });
    await expect(running).rejects.toThrow('second');
    expect(begun).toEqual([1, 2]);
    expect(ended).toBe(1);
  });

  it('rejects when the source fails, after the calls under way have ended', async () => {
    let ended = false;
    const source = async function* () {
      yield 1;
      await turn();
      throw new Error('source');
    };
    const running = eachConcurrently(source(), 4, async () => {
      for (let turns = 0; turns < 5; turns += 1) await turn();
      ended = true;
    });
    await expect(running).rejects.toThrow('source');
    expect(ended).toBe(true);
  });
});
