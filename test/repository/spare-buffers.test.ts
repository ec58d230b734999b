import { expect, it } from 'vitest';
import { createSpareBuffers } from '../../src/repository/spare-buffers.ts';

it('gives back what was given, whole, when it is large enough, and keeps no more than so many', () => {
  const buffers = createSpareBuffers(2);
  const [small, large, larger] = [10, 100, 200].map((bytes) => buffers.take(bytes));
  for (const buffer of [small!, large!.subarray(50), larger!]) buffers.give(buffer);
  expect(buffers.take(100).buffer).toBe(large!.buffer);
  expect(buffers.take(100).buffer).toBe(larger!.buffer);
  expect(buffers.take(10).buffer).not.toBe(small!.buffer);
});
