import { describe, expect, it } from 'vitest';
import { commitLogModel, PROTOCOL, type Bounds, type Protocol } from './commit-log.ts';
import { explore } from './explore.ts';

const ONE_EACH = { runsPerWriter: 1, runsPerPruner: 1, deletes: 'any part' } as const;
/** LIFEBOAT_MODEL=whole: with a crash, and any part deleted; some minutes and gigabytes. */
const WHOLE = process.env['LIFEBOAT_MODEL'] === 'whole';
const TWO_AND_TWO: Bounds = {
  ...ONE_EACH,
  writers: 2,
  pruners: 2,
  crashes: WHOLE ? 1 : 0,
  deletes: WHOLE ? 'any part' : 'all',
};
const TWO_AND_ONE: Bounds = { ...ONE_EACH, writers: 2, pruners: 1, crashes: 2 };

describe('in every order of their steps', () => {
  it.each<[string, Bounds, number]>([
    ['two writers and two pruners', TWO_AND_TWO, 900_000],
    ['two writers and a pruner that deletes any part, with two crashes', TWO_AND_ONE, 20_000],
    [
      'a writer and two pruners that delete any part',
      { ...TWO_AND_ONE, writers: 1, pruners: 2, crashes: 1 },
      30_000,
    ],
    [
      'two writers that begin again after a crash, and a pruner',
      { ...TWO_AND_ONE, crashes: 1, runsPerWriter: 2, deletes: 'all' },
      80_000,
    ],
  ])(
    '%s lose nothing of a snapshot, and leave nothing that a last prune does not find',
    (_who, bounds, atLeast) => {
      const { counterexample, states, finalStates } = explore(commitLogModel(PROTOCOL, bounds));
      expect(counterexample).toBeUndefined();
      // A model that stands still finds nothing either.
      expect(states).toBeGreaterThan(atLeast);
      expect(finalStates).toBeGreaterThan(0);
    },
    900_000,
  );

  it.each<[keyof Protocol, string]>([
    ['listsAfterLog', 'a writer that lists before it reads the log'],
    ['rechecksMarks', 'a writer that does not look for marks before its record'],
    ['marksOnlyWhatItSaw', 'a pruner that marks although another record came first'],
    ['createsOnly', 'a record that replaces another'],
    ['marksBeforeDeleting', 'a pruner that deletes without a mark'],
  ])('without %s a snapshot is lost: %s', (rule) => {
    const { counterexample } = explore(commitLogModel({ ...PROTOCOL, [rule]: false }, TWO_AND_TWO));
    expect(counterexample?.problem).toMatch(/of a snapshot are gone/);
    expect(counterexample?.steps.at(-1)).toMatch(/deletes|commits/);
  });
});
