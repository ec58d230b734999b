import { describe, expect, it } from 'vitest';
import type { RestoreContext } from '../../src/restore/context.ts';
import { physicalChecks } from '../../src/restore/physical-checks.ts';
import type { Check } from '../../src/restore/step.ts';

async function judged(
  options: { between?: number; missing?: string[]; expectedRows?: number; observedRows?: number },
  compared: Check[] = [],
): Promise<Check[]> {
  const rows = (count: number) => ({ tableRows: { events: count } });
  const context = {
    source: {
      physical: { backup: { target: { lsn: '0/E000B28' } } },
      invariants: rows(options.expectedRows ?? 10),
    },
    found: {
      measured: rows(options.observedRows ?? 10),
      cluster: {
        between: options.between ?? 0,
        restoreMs: 1000,
        replayMs: 2000,
        walSegments: 3,
        wal: { newest: '0000000100000000000000FF', newestAt: new Date(0), missing: options.missing ?? [] },
      },
    },
  } as unknown as RestoreContext;
  const found: Check[] = [];
  for await (const check of physicalChecks(context, compared)) found.push(check);
  return found;
}

const differs: Check = { id: 'database.rows-equal', title: 'rows', result: 'fail' };

describe('the checks of a recovered cluster', () => {
  it('demand equality when nothing was committed between the measuring and the target', async () => {
    expect(await judged({ observedRows: 11 }, [differs])).toMatchObject([
      { id: 'database.instant', result: 'pass' },
      { id: 'database.wal', result: 'pass' },
      { id: 'database.rows-equal', result: 'fail' },
    ]);
  });

  it('demand at least as many rows when something was, and say so', async () => {
    const [instant, , more] = await judged({ between: 2, observedRows: 11 }, [differs]);
    expect(instant).toMatchObject({ result: 'warn', observed: expect.stringMatching(/^2 more; /) as string });
    expect(more).toMatchObject({ result: 'warn' });
    const [, , fewer] = await judged({ between: 2, observedRows: 9 }, [differs]);
    expect(fewer).toMatchObject({ result: 'fail' });
    const [, , index] = await judged({ between: 2 }, [{ ...differs, id: 'database.indexes-equal' }]);
    expect(index).toMatchObject({ result: 'fail' });
  });

  it('warn of a gap in the archive, which a recovery to now would not get over', async () => {
    const [, wal] = await judged({ missing: ['0000000100000000000000FA'] });
    expect(wal).toMatchObject({
      result: 'warn',
      detail: ['missing: 0000000100000000000000FA', expect.stringContaining('cannot be recovered') as string],
    });
  });
});
