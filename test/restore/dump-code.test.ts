import { describe, expect, it } from 'vitest';
import type { RestoreContext } from '../../src/restore/context.ts';
import { checkCode, requireOwnCode } from '../../src/restore/dump-code.ts';

const OWN = [
  '2; 3079 16384 EXTENSION - plpgsql ',
  '217; 1259 16392 TABLE public events synapse',
  '400; 1255 16500 FUNCTION public check_partial_state_events() synapse',
  '3800; 2620 17000 TRIGGER public partial_state_events check_partial_state_events synapse',
  '3801; 2620 17001 TRIGGER public worker_read_write_locks upsert_read_write_lock_parent_trigger synapse',
];

function context(sealed: boolean, allowCode?: boolean): RestoreContext {
  return { target: { sealed }, allowCode } as unknown as RestoreContext;
}

const real = context(false);

describe('code in a dump', () => {
  it('may be the homeserver’s own', () => {
    expect(() => requireOwnCode(OWN.join('\n'), real)).not.toThrow();
  });

  it.each([
    ['9; 1255 16500 FUNCTION public evil(text, integer) synapse', 'function evil'],
    [
      '9; 1255 16500 FUNCTION public check_partial_state_events2() synapse',
      'function check_partial_state_events2',
    ],
    ['9; 2620 17000 TRIGGER public events evil synapse', 'trigger evil'],
    ['9; 2620 17000 TRIGGER public check_partial_state_events evil synapse', 'trigger evil'],
    ['9; 3079 16384 EXTENSION - plpython3u ', 'extension plpython3u'],
  ])('is refused in a real restore when it is not: %s', (entry, name) => {
    const listing = [...OWN, entry].join('\n');
    expect(() => requireOwnCode(listing, real)).toThrow(
      expect.objectContaining({
        code: 'archive-unsafe',
        message: expect.stringMatching(new RegExp(`: ${name}$`)),
      }),
    );
    expect(() => requireOwnCode(listing, context(false, true))).not.toThrow();
    expect(() => requireOwnCode(listing, context(true))).not.toThrow();
  });

  it('is looked for in the database too: a failure, a warning in a drill or when it is allowed', async () => {
    const session = (rows: readonly object[]) => ({ query: () => Promise.resolve(rows) }) as never;
    const evil = session([
      { kind: 'extension', name: 'plpgsql' },
      { kind: 'event trigger', name: 'evil' },
    ]);
    expect(await checkCode(evil, real)).toMatchObject({ result: 'fail', observed: '1: event trigger evil' });
    expect(await checkCode(evil, context(false, true))).toMatchObject({ result: 'warn' });
    expect(await checkCode(evil, context(true))).toMatchObject({ result: 'warn' });
    expect(await checkCode(session([]), real)).toMatchObject({ result: 'pass' });
  });
});
