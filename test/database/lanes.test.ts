import { describe, expect, it } from 'vitest';
import { planDump, qualified } from '../../src/database/index.ts';

const MiB = 1024 * 1024;
const table = (name: string, bytes: number, schema = 'public') => ({ schema, name, bytes });
const EXCLUDED = [{ schema: 'public', name: 'e2e_one_time_keys_json' }];
const SYNAPSE = [
  table('event_json', 2000 * MiB),
  table('state_groups_state', 1500 * MiB),
  table('events', 900 * MiB),
  table('device_lists_remote_cache', 40 * MiB),
  table('e2e_one_time_keys_json', 5000 * MiB),
  table('users', 1 * MiB),
];

describe('a database is dumped', () => {
  it('as one archive when it is small, or when one lane is asked for', () => {
    const small = planDump([table('events', 64 * MiB)], { lanes: 4, excluded: EXCLUDED });
    const single = planDump(SYNAPSE, { lanes: 1, excluded: EXCLUDED });
    for (const plan of [small, single]) {
      expect(plan.lanes).toBe(1);
      expect(plan.parts).toMatchObject([{ section: undefined, only: undefined, without: EXCLUDED }]);
    }
  });

  it('with its large tables alone, largest first, the rest by exclusion, and the schema apart', () => {
    const { parts, lanes } = planDump(SYNAPSE, { lanes: 2, excluded: EXCLUDED });
    expect(lanes).toBe(2);
    expect(parts.map(({ name, section }) => [name, section])).toEqual([
      ['pre-data', 'pre-data'],
      ['post-data', 'post-data'],
      ['event_json', 'data'],
      ['state_groups_state', 'data'],
      ['all other tables', 'data'],
    ]);
    const rest = parts.at(-1)!;
    expect(rest.only).toBeUndefined();
    expect(rest.without.map(({ name }) => name)).toEqual([
      'e2e_one_time_keys_json',
      'event_json',
      'state_groups_state',
    ]);
    expect(rest.bytes).toBe(941 * MiB);
  });

  it('the same way the next night, when the tables have grown', () => {
    const grown = SYNAPSE.map((each) => ({ ...each, bytes: each.bytes * 1.1 }));
    const names = (sizes: typeof SYNAPSE) =>
      planDump(sizes, { lanes: 2, excluded: EXCLUDED }).parts.map(({ only }) => only?.map(qualified));
    expect(names(grown)).toEqual(names(SYNAPSE));
  });
});

it('a name is quoted so that nothing in it is a pattern', () => {
  expect(qualified({ schema: 'Other.Schema', name: 'a"b*' })).toBe('"Other.Schema"."a""b*"');
});
