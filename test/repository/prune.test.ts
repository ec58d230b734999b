import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { LifeboatError } from '../../src/core/errors.ts';
import { logKey } from '../../src/repository/object-names.ts';
import { putNamed } from '../../src/repository/objects.ts';
import type { Repository } from '../../src/repository/port.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { backUp, makeRepository, readBack, sampleSource } from './fixture.ts';
import { copyToMemory, listAll } from './memory-store.ts';

const NOW = { dryRun: false, graceMs: 0 };
const HOUR = 3_600_000;
const ALL = { readData: 'all', decrypt: true } as const;

describe('prune', () => {
  it('deletes what only forgotten snapshots needed, and nothing else', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const shared = sampleSource('shared');
    const kept = { ...sampleSource('kept'), media: shared.media };
    const gone = { ...sampleSource('gone'), media: shared.media };
    const { entry: first } = await backUp(repository, gone);
    const { entry: second } = await backUp(repository, kept);
    await repository.forget([first.id], { [first.id]: 'kept by no rule' });

    const plan = await repository.prune({ dryRun: true, graceMs: 0 });
    expect(plan.deletedObjects).toBe(0);
    const before = await countObjects(fixture.store);
    const result = await repository.prune(NOW);
    expect(result).toEqual({
      markedObjects: plan.markedObjects,
      deletedObjects: plan.markedObjects,
      lockedObjects: 0,
      freedBytes: plan.freedBytes,
    });
    expect(result.deletedObjects).toBeGreaterThan(3);
    expect(await countObjects(fixture.store)).toBe(before - result.deletedObjects + 2);

    expect((await repository.snapshots()).map(({ id }) => id)).toEqual([second.id]);
    expect(await readBack(await fixture.open(), second.id)).toEqual(kept);
    expect(await repository.check(ALL)).toMatchObject({ ok: true, findings: [] });
    expect(await repository.prune(NOW)).toEqual({
      markedObjects: 0,
      deletedObjects: 0,
      lockedObjects: 0,
      freedBytes: 0,
    });
  });

  it('leaves young garbage alone, and removes it when it has aged', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const writer = await repository.startBackup();
    await writer.addArchive([]);
    await writer.abort();
    expect((await repository.prune({ dryRun: false, graceMs: HOUR })).deletedObjects).toBe(0);
    const later = { ...systemClock, now: () => new Date(Date.now() + 2 * HOUR) };
    expect(
      (await (await fixture.open({ clock: later })).prune({ dryRun: false, graceMs: HOUR })).deletedObjects,
    ).toBe(1);
  });

  it('is finished by the next one when it was interrupted after its mark', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const { entry } = await backUp(repository, sampleSource('gone'));
    const { entry: kept } = await backUp(repository, sampleSource('kept'));
    await repository.forget([entry.id], {});
    let deletes = 0;
    const dying: ObjectStore = {
      ...fixture.store,
      async delete(key) {
        deletes += 1;
        if (deletes > 2) throw new Error('killed');
        await fixture.store.delete(key);
      },
    };
    await expect((await fixture.open({}, dying)).prune(NOW)).rejects.toThrow('killed');
    expect(await repository.check(ALL)).toMatchObject({ ok: true, findings: [] });
    expect((await repository.prune(NOW)).deletedObjects).toBeGreaterThan(2);
    expect(await repository.prune(NOW)).toMatchObject({ deletedObjects: 0 });
    expect((await repository.snapshots()).map(({ id }) => id)).toEqual([kept.id]);
    expect(await repository.check(ALL)).toMatchObject({ ok: true, findings: [] });
  });

  it('leaves what Object Lock protects in an open mark, which a later one finishes', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    const { entry, reusedBlobs } = await backUp(await fixture.open(), source);
    let locked = true;
    const store: ObjectStore = {
      ...fixture.store,
      async delete(key) {
        if (locked && key.startsWith('packs/')) throw new LifeboatError('object-locked', `${key} is locked`);
        await fixture.store.delete(key);
      },
    };
    const repository = await fixture.open({}, store);
    await repository.forget([entry.id], {});
    const packs = await listAll(fixture.store, 'packs/');
    const first = await repository.prune(NOW);
    expect(first.lockedObjects).toBe(packs.length);
    expect(first.deletedObjects).toBe(first.markedObjects - packs.length);
    expect(await repository.check(ALL)).toMatchObject({ ok: true });

    // Nobody leans on them meanwhile.
    const second = await backUp(await fixture.open({}, store), source);
    const again = second.entry;
    expect(second.reusedBlobs).toBe(reusedBlobs);
    expect(await repository.prune(NOW)).toMatchObject({ markedObjects: 0, lockedObjects: packs.length });
    locked = false;
    expect(await repository.prune(NOW)).toMatchObject({ lockedObjects: 0 });
    expect(await repository.prune(NOW)).toMatchObject({ deletedObjects: 0 });
    expect(await readBack(await fixture.open(), again.id)).toEqual(source);
  });

  it('never lets a backup commit that relies on what was marked while it ran', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const source = sampleSource();
    const { entry } = await backUp(repository, source);
    const racing = backUp(await fixture.open(), source, async () => {
      const pruner = await fixture.open();
      await pruner.forget([entry.id], {});
      expect((await pruner.prune(NOW)).deletedObjects).toBeGreaterThan(0);
    });
    await expect(racing).rejects.toMatchObject({ code: 'locked', transient: true });
    expect(await (await fixture.open()).snapshots()).toEqual([]);

    const { entry: again } = await backUp(await fixture.open(), source);
    expect(await readBack(await fixture.open(), again.id)).toEqual(source);
  });

  it('sees a mark also when the same session has read the log in between', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const source = sampleSource();
    const { entry } = await backUp(repository, source);
    const racing = backUp(repository, source, async () => {
      await repository.forget([entry.id], {});
      await repository.prune(NOW);
      await repository.snapshots();
    });
    await expect(racing).rejects.toMatchObject({ code: 'locked' });
  });

  it('is seen by a backup also when the same session reads the log while that one loads its index', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    const { entry } = await backUp(await fixture.open(), source);
    let interfered = false;
    const store: ObjectStore = {
      ...fixture.store,
      async get(key, range) {
        const bytes = await fixture.store.get(key, range);
        if (!key.startsWith('index/') || interfered) return bytes;
        interfered = true;
        const pruner = await fixture.open();
        await pruner.forget([entry.id], {});
        await pruner.prune(NOW);
        await session.snapshots();
        return bytes;
      },
    };
    const session = await fixture.open({}, store);
    await expect(backUp(session, source)).rejects.toMatchObject({ code: 'locked' });
    expect(interfered).toBe(true);
    expect(await (await fixture.open()).check(ALL)).toMatchObject({ ok: true });
  });

  it('starts over when a backup commits between its look and its mark', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const source = sampleSource();
    const { entry } = await backUp(repository, source);
    const pruner = await fixture.open();
    await pruner.forget([entry.id], {});
    let committed: Repository | undefined;
    const slow: ObjectStore = {
      ...fixture.store,
      async *list(prefix) {
        yield* fixture.store.list(prefix);
        // After the pruner has listed everything, a backup of the same content commits.
        if (prefix !== 'archives/' || committed !== undefined) return;
        committed = await fixture.open();
        await backUp(committed, source);
      },
    };
    await (await fixture.open({}, slow)).prune(NOW);
    const [snapshot] = await repository.snapshots();
    expect(await readBack(repository, snapshot!.id)).toEqual(source);
    expect(await repository.check(ALL)).toMatchObject({ ok: true, findings: [] });
  });

  it('does not store anew in packs that are marked, but leaves them out', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const source = sampleSource();
    const { entry } = await backUp(repository, source);
    await repository.forget([entry.id], {});
    const neverDeletes: ObjectStore = { ...fixture.store, delete: () => Promise.reject(new Error('killed')) };
    await expect((await fixture.open({}, neverDeletes)).prune(NOW)).rejects.toThrow('killed');
    const second = await backUp(await fixture.open(), source);
    expect(second.newPacks).toBeGreaterThan(0);
    await (await fixture.open()).prune(NOW);
    expect(await readBack(await fixture.open(), second.entry.id)).toEqual(source);
  });

  it('marks very many objects in several records, so that none of them grows without bound', async () => {
    await using fixture = await makeRepository();
    const source = sampleSource();
    const { entry } = await backUp(await fixture.open(), source);
    const store = await copyToMemory(fixture.store);
    for (let at = 0; at < 5000; at += 1) await putNamed(store, 'refs', Buffer.from(`garbage ${at}`));
    const repository = await fixture.open({ stateDirectory: `${fixture.directory}/other` }, store);
    expect(await repository.prune(NOW)).toMatchObject({ markedObjects: 5000, deletedObjects: 5000 });
    const records = (await listAll(store, 'log/')).filter(({ key }) => key > logKey(entry.seq));
    expect(records).toHaveLength(4);
    for (const { sizeBytes } of records) expect(sizeBytes).toBeLessThan(400_000);
    expect(await repository.check(ALL)).toMatchObject({ ok: true, findings: [], snapshots: 1 });
  });

  it('refuses when it cannot read what a snapshot needs', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    await backUp(repository, sampleSource());
    const [refs] = await listAll(fixture.store, 'refs/');
    await fixture.store.delete(refs!.key);
    await expect(repository.prune(NOW)).rejects.toMatchObject({ code: 'repository-damaged' });
  });

  it('and forget need the admin key', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    const host = await fixture.open({ adminKeyFile: undefined });
    await expect(host.prune(NOW)).rejects.toMatchObject({ code: 'admin-key-missing' });
    await expect(host.forget([entry.id], {})).rejects.toMatchObject({ code: 'admin-key-missing' });
    await expect(host.pin(entry.id, true)).rejects.toMatchObject({ code: 'admin-key-missing' });
    expect((await host.prune({ dryRun: true, graceMs: 0 })).markedObjects).toBe(0);
    expect(await fixture.store.stat(logKey(entry.seq + 1))).toBeUndefined();
  });
});

describe('forget', () => {
  it('refuses pinned and unknown snapshots, and takes none of the others then', async () => {
    await using fixture = await makeRepository();
    const repository = await fixture.open();
    const { entry } = await backUp(repository, sampleSource());
    await repository.pin(entry.id.slice(0, 8), true);
    expect((await repository.resolve('latest')).pinned).toBe(true);
    await expect(repository.forget([entry.id], {})).rejects.toThrow('is pinned');
    await repository.pin(entry.id, false);
    await expect(repository.forget([entry.id, 'f'.repeat(32)], {})).rejects.toMatchObject({
      code: 'snapshot-missing',
    });
    expect(await repository.snapshots()).toHaveLength(1);
    await repository.forget([entry.id], {});
    expect(await repository.snapshots()).toEqual([]);
    await expect(repository.resolve('latest')).rejects.toMatchObject({ code: 'snapshot-missing' });
  });
});

async function countObjects(store: ObjectStore): Promise<number> {
  return (await listAll(store)).length;
}
