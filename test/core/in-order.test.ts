import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { inOrder } from '../../src/core/in-order.ts';

async function* numbers(count: number): AsyncGenerator<number> {
  for (let number = 0; number < count; number += 1) yield number;
}

it('gives results in the order of the items, and never has more under way than it may', async () => {
  let [running, most] = [0, 0];
  const results = await Array.fromAsync(
    inOrder(numbers(12), 4, async (item) => {
      most = Math.max(most, (running += 1));
      await sleep(item % 2);
      running -= 1;
      return item * 10;
    }),
  );
  expect(results.map(({ made }) => made)).toEqual(Array.from({ length: 12 }, (_, item) => item * 10));
  expect(most).toBe(4);
});

it('throws the first error in order, after those under way have ended', async () => {
  const ended: number[] = [];
  const working = inOrder(numbers(12), 4, async (item) => {
    await sleep(item === 1 ? 0 : 2);
    if (item === 1) throw new Error('one');
    ended.push(item);
  });
  await expect(Array.fromAsync(working)).rejects.toThrow('one');
  expect(ended.toSorted()).toEqual([0, 2, 3, 4]);
});
