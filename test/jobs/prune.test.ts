import { describe, expect, it } from 'vitest';
import { pruneRepository, type PruneJobOptions } from '../../src/jobs/prune.ts';
import { LifeboatError } from '../../src/core/errors.ts';
import type { MediaGenerations } from '../../src/media/generations.ts';
import { silent } from '../../src/observe/index.ts';
import type { Repository } from '../../src/repository/port.ts';
import { requireMayDelete } from '../../src/repository/prune.ts';
import { backUp, makeRepository, sampleSource, type Fixture } from '../repository/fixture.ts';

const DAY = 86_400_000;
const OPTIONS: PruneJobOptions = { policy: { keepLast: 1 }, dryRun: false, graceMs: 0, progress: silent };

async function withSnapshots(count: number): Promise<Fixture & { repository: Repository; ids: string[] }> {
  const fixture = await makeRepository();
  const repository = await fixture.open();
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push((await backUp(repository, sampleSource(`${n}`))).entry.id);
  return { ...fixture, repository, ids };
}

describe('prune', () => {
  it('refuses to forget more than a quarter at once, and does it when asked twice', async () => {
    await using lab = await withSnapshots(5);
    await expect(pruneRepository(lab.repository, OPTIONS)).rejects.toMatchObject({
      code: 'not-confirmed',
      message: '4 of 5 snapshots would be forgotten at once',
    });
    expect(await lab.repository.snapshots()).toHaveLength(5);
    const { forgotten } = await pruneRepository(lab.repository, { ...OPTIONS, allowLarge: true });
    expect(forgotten).toHaveLength(4);
    expect(await lab.repository.snapshots()).toHaveLength(1);
  });

  it('keeps what was stored within a week by the store’s clock', async () => {
    await using lab = await withSnapshots(2);
    const policy = { keepLast: 1, keepWithinMs: 7 * 86_400_000 };
    const { decisions, forgotten } = await pruneRepository(lab.repository, { ...OPTIONS, policy });
    expect(decisions.map(({ reason }) => reason)).toEqual(['last', 'young']);
    expect(forgotten).toEqual([]);
  });

  it('forgets nothing with an account that may only add, and does not ask when there is nothing to forget', async () => {
    await using lab = await withSnapshots(2);
    const store = {
      ...lab.store,
      delete: () => Promise.reject(new LifeboatError('store-denied', 'access denied')),
    };
    const appendOnly: Repository = { ...lab.repository, requireMayDelete: () => requireMayDelete(store) };
    await expect(pruneRepository(appendOnly, OPTIONS)).rejects.toMatchObject({
      code: 'store-denied',
      message: expect.stringContaining('this account may not delete at'),
    });
    expect(await lab.repository.snapshots()).toHaveLength(2);
    await pruneRepository(appendOnly, { ...OPTIONS, policy: { keepLast: 2 } });
    await pruneRepository(appendOnly, { ...OPTIONS, dryRun: true });
  });

  it('leaves generations of media alone for a day, whatever grace it is given: a backup may be about to name one', async () => {
    await using lab = await withSnapshots(1);
    const graces: number[] = [];
    const retire: MediaGenerations['retire'] = async ({ graceMs }) => {
      graces.push(graceMs);
      return [];
    };
    for (const graceMs of [0, undefined, 2 * DAY])
      await pruneRepository(lab.repository, { ...OPTIONS, graceMs, generations: { place: 'there', retire } });
    expect(graces).toEqual([DAY, DAY, 2 * DAY]);
  });

  it('does not forget what a drill has proven since the plan was made', async () => {
    await using lab = await withSnapshots(3);
    const [first] = lab.ids;
    const other = await lab.open();
    const racing: Repository = {
      ...lab.repository,
      forget: async (...args) => {
        await other.recordEvidence({ type: 'drill', snapshotId: first!, result: 'PASS', summary: {} });
        await lab.repository.forget(...args);
      },
    };
    await expect(pruneRepository(racing, OPTIONS)).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining('newest proven'),
    });
    expect(await other.snapshots()).toHaveLength(3);
    expect((await pruneRepository(lab.repository, OPTIONS)).forgotten).toEqual([lab.ids[1]]);
  });
});
