import { describe, expect, it } from 'vitest';
import type { Invariants } from '../../src/repository/manifest.ts';
import { compareWithManifest } from '../../src/restore/invariant-checks.ts';

const measured: Invariants = {
  tableRows: { events: 10, event_json: 10, e2e_one_time_keys_json: 50 },
  sequences: { events_stream_seq: 10 },
  indexes: ['a_idx', 'b_idx'],
  constraints: ['events.pk'],
  triggers: ['t.check'],
  facts: { users: 3 },
  digests: { event_json: 'aa' },
  newestEventTs: 1_700_000_000_000,
};
const restored: Invariants = { ...measured, tableRows: { ...measured.tableRows, e2e_one_time_keys_json: 0 } };

function failures(observed: Partial<Invariants>): Record<string, readonly string[] | undefined> {
  const checks = [...compareWithManifest(measured, { ...restored, ...observed }, ['e2e_one_time_keys_json'])];
  return Object.fromEntries(
    checks.filter(({ result }) => result === 'fail').map(({ id, detail }) => [id, detail]),
  );
}

describe('invariants of the manifest against a restored database', () => {
  it('hold when only the excluded rows are gone', () => {
    expect(failures({})).toEqual({});
  });

  it('allow sequences that are ahead, and name those that are behind', () => {
    expect(failures({ sequences: { events_stream_seq: 99 } })).toEqual({});
    expect(failures({ sequences: { events_stream_seq: 9 } })).toEqual({
      'database.sequences': ['events_stream_seq: expected at least 10, observed 9'],
    });
  });

  it.each<[Partial<Invariants>, string, string]>([
    [
      { tableRows: { events: 9, event_json: 10, e2e_one_time_keys_json: 0 } },
      'database.rows-equal',
      'events: expected 10 rows, observed 9 rows',
    ],
    [
      { tableRows: { events: 10, e2e_one_time_keys_json: 0 } },
      'database.rows-equal',
      'event_json: expected 10 rows, observed no such table',
    ],
    [{ indexes: ['a_idx'] }, 'database.indexes-equal', 'b_idx: expected present, observed missing'],
    [{ constraints: [] }, 'database.constraints-equal', 'events.pk: expected present, observed missing'],
    [{ triggers: ['t.check', 'evil'] }, 'database.triggers-equal', 'evil: expected absent, observed present'],
    [{ facts: { users: 2 } }, 'database.facts-equal', 'users: expected 3, observed 2'],
    [{ digests: {} }, 'database.content-equal', 'event_json: expected aa, observed nothing'],
    [
      { newestEventTs: null },
      'database.newest-event',
      'newest: expected 2023-11-14T22:13:20.000Z, observed none',
    ],
  ])('name what differs: %j', (observed, id, line) => {
    expect(failures(observed)).toEqual({ [id]: [line] });
  });

  it('say that a dump without manifest has nothing to compare with', () => {
    expect([...compareWithManifest(undefined, restored, [])].map(({ result }) => result)).toEqual(['skip']);
  });
});
