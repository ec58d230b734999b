import { defineConfig } from 'vitest/config';

const REAL = ['test/e2e/**/*.test.ts', 'test/fault/**/*.test.ts'];

export default defineConfig({
  test: {
    // Missing programs are failures, never skips; so is a test that somebody left alone with `.only`.
    allowOnly: false,
    passWithNoTests: false,
    projects: [
      { test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: REAL, testTimeout: 20_000 } },
      {
        test: {
          name: 'real',
          include: REAL,
          // Real servers, each with a cluster of its own: two files at a time, or they starve each other on two cores.
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
