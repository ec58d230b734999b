import { expect, it } from 'vitest';
import { vacuumWarning } from '../../src/database/index.ts';

const before = {
  at: 0,
  nextXid: 1000,
  sizeBytes: 1024 ** 3,
  tables: { 'public.hot': { dead: 10, live: 20_000 } },
};
const later = { ...before, at: 3_600_000, sizeBytes: 1.5 * 1024 ** 3 };

it('says nothing of a snapshot that held back little', () => {
  const tables = {
    'public.hot': { dead: 40_000, live: 20_000 },
    'public.huge': { dead: 60_000, live: 5_000_000 },
  };
  expect(vacuumWarning(before, { ...later, nextXid: 500_000, tables })).toBeUndefined();
});

it('tells with figures which table swelled while the snapshot was held', () => {
  const tables = { 'public.hot': { dead: 140_010, live: 20_000 } };
  expect(vacuumWarning(before, { ...later, nextXid: 9_000, tables })).toMatch(
    /for 1h 0m and 8000 transactions, .*public\.hot 140000 beside 20000 live ones; the database grew by 512 MiB/,
  );
});

it('tells when so many transactions passed that the next vacuum is against wraparound', () => {
  expect(vacuumWarning(before, { ...later, nextXid: 10_001_000 })).toMatch(
    /10000000 transactions; the database/,
  );
});
