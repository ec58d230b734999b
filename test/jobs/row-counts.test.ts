import { describe, expect, it } from 'vitest';
import { homeserverOf } from '../../src/homeserver/index.ts';
import { describeAlarm, mergeAlarms, unexplained, type Counts } from '../../src/jobs/row-counts.ts';

const rules = homeserverOf('synapse').rowRules;
const before: Counts = {
  snapshot: 'aaaabbbbccccdddd',
  at: '2026-11-24T03:00:00.000Z',
  tableRows: {
    users: 500,
    events: 20_000,
    event_json: 20_000,
    state_events: 900,
    devices: 40,
    e2e_room_keys: 1000,
  },
  indexes: ['events_order', 'users_name_key'],
  facts: {
    events_without_json: 0,
    schema_version: 94,
    background_updates_pending: 0,
    max_stream_ordering: 20_000,
  },
};
const night = (rows: Record<string, number>, more: Partial<Counts> = {}): Counts => ({
  ...before,
  snapshot: 'eeeeffff00001111',
  at: '2026-11-25T03:00:00.000Z',
  tableRows: { ...before.tableRows, ...rows },
  ...more,
});
const names = (now: Counts) => unexplained(before, now, rules).map(({ what, name }) => `${what} ${name}`);

describe('nothing is said of what a homeserver does by itself:', () => {
  it.each([
    ['more of everything', night({ users: 501, events: 21_000, event_json: 21_000 })],
    ['a purge of history', night({ events: 19_000, event_json: 19_000, state_events: 850 })],
    ['a device that logged out', night({ devices: 12 })],
    ['a key backup that somebody deleted', night({ e2e_room_keys: 950 })],
    [
      'a migration that drops a table and an index',
      night(
        { state_events: 0 },
        { indexes: ['users_name_key'], facts: { ...before.facts, schema_version: 95 } },
      ),
    ],
    [
      'a background update that replaces an index',
      night({}, { indexes: ['users_name_key'], facts: { ...before.facts, background_updates_pending: 1 } }),
    ],
  ])('%s', (_what, now) => expect(names(now)).toEqual([]));
});

describe('an alarm is raised for', () => {
  it.each([
    ['an account that is gone', night({ users: 499 }), ['rows users']],
    ['events without the same loss in their JSON', night({ events: 19_880 }), ['rows events']],
    ['JSON without the same loss in the events', night({ event_json: 19_988 }), ['rows event_json']],
    ['rows of events, where no event is gone', night({ state_events: 870 }), ['rows state_events']],
    ['a fifth of a table that nothing is known of', night({ e2e_room_keys: 700 }), ['rows e2e_room_keys']],
    [
      'events that lack their JSON',
      night({}, { facts: { ...before.facts, events_without_json: 3 } }),
      ['relation events_without_json'],
    ],
    [
      'a database that went back in time',
      night({}, { facts: { ...before.facts, max_stream_ordering: 19_000 } }),
      ['position max_stream_ordering'],
    ],
    ['an index that is gone', night({}, { indexes: ['users_name_key'] }), ['index events_order']],
    [
      'an account, whatever was migrated',
      night({ users: 499 }, { facts: { ...before.facts, schema_version: 95 } }),
      ['rows users'],
    ],
  ])('%s', (_what, now, expected) => expect(names(now)).toEqual(expected));
});

it('tells counts and snapshot of before, and keeps an alarm when the loss is part of the past', () => {
  const first = unexplained(before, night({ users: 380 }), rules);
  expect(first.map((alarm) => describeAlarm(alarm, rules))).toEqual([
    'ALARM: users had 500 rows on 2026-11-24 (snapshot aaaabbbb) and has 380 now: 120 are gone, and nothing explains it',
  ]);
  expect(mergeAlarms(first, [])).toEqual(first);
  const again = unexplained(night({ users: 380 }), night({ users: 370 }), rules);
  expect(mergeAlarms(first, again)).toEqual([{ ...first[0], now: 370 }]);
});
