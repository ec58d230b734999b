import { describe, expect, it } from 'vitest';
import { commitLogModel, PROTOCOL, type Bounds, type Protocol } from './commit-log.ts';
import { explore } from './explore.ts';

const ONE_RUN_EACH: Bounds = { writers: 2, pruners: 2, runsPerWriter: 1, runsPerPruner: 1 };
/** LIFEBOAT_MODEL=whole adds the larger bounds: some minutes and gigabytes. */
const LARGER: readonly [string, Bounds, number][] = [
  ['two writers that come back, and two pruners', { ...ONE_RUN_EACH, runsPerWriter: 2 }, 742_031],
  ['three writers and two pruners', { ...ONE_RUN_EACH, writers: 3 }, 1_000_000],
];

describe('in every order of their steps, each of which may be its last', () => {
  it.each<[string, Bounds, number]>([
    ['two writers and two pruners', ONE_RUN_EACH, 39_021],
    ['two writers and two pruners that come back', { ...ONE_RUN_EACH, runsPerPruner: 2 }, 216_803],
    [
      'two writers and a pruner that all come back',
      { writers: 2, pruners: 1, runsPerWriter: 2, runsPerPruner: 2 },
      65_931,
    ],
    ...(process.env['LIFEBOAT_MODEL'] === 'whole' ? LARGER : []),
  ])(
    '%s lose nothing of a snapshot, and leave nothing that a last prune does not delete',
    { timeout: 900_000 },
    (_who, bounds, atLeast) => {
      const { counterexample, states } = explore(commitLogModel(PROTOCOL, bounds));
      expect(counterexample).toBeUndefined();
      // A model that stands still finds nothing either.
      expect(states).toBeGreaterThanOrEqual(atLeast);
    },
  );
});

describe('a protocol with a mistake loses a snapshot, and this is the shortest way to it', () => {
  it.each<[string, Partial<Protocol>]>([
    ['a snapshot as an object of its own, outside the log', { commit: 'plain object' }],
    ['the same, with a look for marks just before', { commit: 'plain object after a re-check' }],
    ['a next number, but no look for marks at it', { commit: 'compare-and-swap, marks ignored' }],
    ['a record that replaces another', { commit: 'last one wins' }],
    ['a mark although another record came first', { mark: 'whatever came since' }],
    ['a deletion without a mark', { mark: 'never' }],
    ['packs that are listed before the log is read', { listsAfterLog: false }],
  ])('%s', (_mistake, change) => {
    const { counterexample } = explore(commitLogModel({ ...PROTOCOL, ...change }, ONE_RUN_EACH));
    expect([...(counterexample?.steps ?? []), counterexample?.problem]).toMatchSnapshot();
  });
});
