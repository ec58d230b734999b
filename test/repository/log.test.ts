import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isLifeboatError } from '../../src/core/errors.ts';
import { signingKeyFromSeed } from '../../src/core/ed25519.ts';
import { logKey, sha256Hex } from '../../src/repository/object-names.ts';
import type { ObjectStore } from '../../src/storage/port.ts';
import { openLocalStore } from '../../src/storage/local.ts';
import { backUp, makeRepository, readBack, sampleSource, type Fixture } from './fixture.ts';
import { aroundPut, copyToMemory, listAll } from './memory-store.ts';

describe('the log', () => {
  it('keeps the snapshots of two backups that commit at once', async () => {
    await using fixture = await makeRepository();
    const sources = [sampleSource('a'), sampleSource('b'), sampleSource('c')];
    const results = await Promise.all(sources.map(async (source) => backUp(await fixture.open(), source)));
    const repository = await fixture.open();
    expect((await repository.snapshots()).map(({ id }) => id).toSorted()).toEqual(
      results.map(({ entry }) => entry.id).toSorted(),
    );
    for (const [at, { entry }] of results.entries())
      expect(await readBack(repository, entry.id)).toEqual(sources[at]);
    expect(await repository.check({ readData: 'all', decrypt: true })).toMatchObject({
      ok: true,
      findings: [],
    });
  });

  it('knows its own record again when the answer to the first try was lost', async () => {
    await using fixture = await makeRepository();
    const losing = aroundPut(fixture.store, async (key, put) => {
      const result = await put();
      return key.startsWith('log/') ? 'exists' : result;
    });
    const { entry } = await backUp(await fixture.open({}, losing), sampleSource());
    expect((await (await fixture.open()).snapshots()).map(({ id }) => id)).toEqual([entry.id]);
  });

  it('goes to the next number when another record came first', async () => {
    await using fixture = await makeRepository();
    const other = await fixture.open();
    const { entry: first } = await backUp(other, sampleSource());
    const { entry } = await backUp(await fixture.open(), sampleSource(), () =>
      other.recordEvidence({ type: 'drill', snapshotId: first.id, result: 'PASS', summary: { checks: 12 } }),
    );
    expect(entry.seq).toBe(first.seq + 2);
    expect((await other.resolve('latest-proven')).id).toBe(first.id);
  });

  it('raises an alarm when the newest record is gone that this machine has seen', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    await fixture.store.delete(logKey(entry.seq));
    await expect((await fixture.open()).snapshots()).rejects.toMatchObject({
      code: 'repository-rolled-back',
    });
    await expect((await fixture.open()).startBackup()).rejects.toMatchObject({
      code: 'repository-rolled-back',
    });
    const { ok, findings } = await (await fixture.open()).check({ readData: 'none' });
    expect(ok).toBe(false);
    expect(findings[0]?.problem).toContain('rolled back');
  });

  it('raises no alarm when another process commits and remembers while this one reads', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    let raced = false;
    const slow: ObjectStore = {
      ...fixture.store,
      async *list(prefix) {
        const seen = await listAll(fixture.store, prefix);
        if (!raced) {
          raced = true;
          await backUp(await fixture.open(), sampleSource());
        }
        yield* seen;
      },
    };
    // And sees what came after its listing.
    expect(await (await fixture.open({}, slow)).snapshots()).toHaveLength(2);
  });

  it('raises an alarm when the whole repository is an older copy, or another one', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const yesterday = await copyToMemory(fixture.store);
    await backUp(await fixture.open(), sampleSource());
    await expect((await fixture.open({}, yesterday)).snapshots()).rejects.toMatchObject({
      code: 'repository-rolled-back',
    });
    const elsewhere = await fixture.open(
      { stateDirectory: join(fixture.directory, 'other-state') },
      yesterday,
    );
    expect(await elsewhere.snapshots()).toHaveLength(1);
  });

  it('names a record that is missing in the middle', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    await backUp(await fixture.open(), sampleSource());
    await fixture.store.delete(logKey(entry.seq));
    await expect((await fixture.open()).snapshots()).rejects.toThrow(
      `${logKey(entry.seq)} is refused: it is missing`,
    );
  });

  it('refuses a repository without any record: its lifeboat.json is bound by nothing', async () => {
    await using fixture = await makeRepository();
    await fixture.store.delete(logKey(1));
    await expect((await fixture.open()).snapshots()).rejects.toMatchObject({ code: 'repository-damaged' });
  });

  it('lists snapshots beside a record of a later type, but refuses to write', async () => {
    await using fixture = await makeRepository();
    const { entry } = await backUp(await fixture.open(), sampleSource());
    await appendForeign(fixture, entry.seq + 1, 'rekey');
    const repository = await fixture.open();
    expect(await repository.snapshots()).toHaveLength(1);
    await expect(repository.startBackup()).rejects.toMatchObject({ code: 'repository-version' });
    await expect(repository.prune({ dryRun: false, graceMs: 0 })).rejects.toMatchObject({
      code: 'repository-version',
    });
    await expect(repository.forget([entry.id], {})).rejects.toMatchObject({ code: 'repository-version' });
  });

  it('says how to go on when its saved head cannot be read', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const head = join(fixture.directory, 'state/heads', `${fixture.repositoryId}.json`);
    await writeFile(head, 'not json');
    const failure = await (await fixture.open()).snapshots().catch((error: unknown) => error);
    expect(isLifeboatError(failure, 'file-unreadable') && failure.hints[0]).toContain(head);
    await rm(head);
    expect(await (await fixture.open()).snapshots()).toHaveLength(1);
  });

  it('opens a repository that was moved to another folder', async () => {
    await using fixture = await makeRepository();
    await backUp(await fixture.open(), sampleSource());
    const moved = await openLocalStore(join(fixture.directory, 'moved'));
    for await (const { key } of fixture.store.list('')) await moved.put(key, await fixture.store.get(key));
    expect(await (await fixture.open({}, moved)).snapshots()).toHaveLength(1);
  });
});

/** A record that a later version could write: signed by the admin key, of a type that is not known here. */
async function appendForeign(fixture: Fixture, seq: number, type: string): Promise<void> {
  const { sign_seed: seed } = JSON.parse(await readFile(join(fixture.directory, 'admin.key'), 'utf8')) as {
    sign_seed: string;
  };
  const body = {
    v: 1,
    repo_id: fixture.repositoryId,
    seq,
    prev_sha256: sha256Hex(await fixture.store.get(logKey(seq - 1))),
    config_sha256: sha256Hex(await fixture.store.get('lifeboat.json')),
    time: new Date().toISOString(),
    signer: 'admin',
    type,
  };
  const line = Buffer.from(JSON.stringify(body));
  const signature = Buffer.from(signingKeyFromSeed(Buffer.from(seed, 'hex')).sign(line)).toString('hex');
  await fixture.store.put(logKey(seq), Buffer.concat([line, Buffer.from(`\n${signature}\n`)]));
}
