import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import type { OtherDatabase } from '../../src/repository/manifest.ts';
import type { CommitResult, Repository } from '../../src/repository/port.ts';
import { verifySnapshot } from '../../src/jobs/verify.ts';
import { silent } from '../../src/observe/index.ts';
import { makeRepository, sampleSource, seededSource, writeSource, type Source } from './fixture.ts';

/** A snapshot with a second database, the bytes of whose dump are given. */
async function backUpWith(repository: Repository, source: Source, dump: Uint8Array): Promise<CommitResult> {
  const writer = await repository.startBackup();
  const parts = await writeSource(writer, source);
  const content = await writer.addStream(Readable.from([dump]));
  const other: OtherDatabase = {
    ...parts.database,
    label: 'mas',
    name: 'mas',
    dumps: [{ name: 'mas.dump', content }],
  };
  return await writer.commit({ ...parts, databases: [other], skewMs: 2 }, []);
}

it('a prune keeps what only the dump of another database needs, and check and verify read it', async () => {
  await using fixture = await makeRepository();
  const repository = await fixture.open();
  // Stored by the snapshot that is forgotten, and needed by the one that stays.
  const dump = seededSource('mas').dump;
  const { entry: gone } = await backUpWith(repository, sampleSource('gone'), dump);
  const { entry: kept } = await backUpWith(repository, sampleSource('kept'), dump);
  await repository.forget([gone.id], {});
  expect((await repository.prune({ dryRun: false, graceMs: 0 })).deletedObjects).toBeGreaterThan(0);

  const reopened = await fixture.open();
  const [other] = (await reopened.manifest(kept.id)).databases!;
  expect(await buffer(reopened.read(other!.dumps[0]!.content))).toEqual(dump);
  expect(await repository.check({ readData: 'all', decrypt: true })).toMatchObject({
    ok: true,
    findings: [],
  });
  const checks = await Array.fromAsync(verifySnapshot(reopened, kept.id, silent));
  expect(checks.filter(({ result }) => result !== 'pass')).toEqual([]);
  expect(kept.bytes).toBeGreaterThan(2 * dump.length);
});

it('verify finds a damaged dump of another database', async () => {
  await using fixture = await makeRepository();
  const repository = await fixture.open();
  const { entry } = await backUpWith(repository, sampleSource(), seededSource('mas').dump);
  const manifest = await repository.manifest(entry.id);
  const [other] = manifest.databases!;
  const [dump] = other!.dumps;
  const wrong = { ...dump!, content: { ...dump!.content, sha256: '00'.repeat(32) } };
  const lying = {
    ...repository,
    manifest: () => Promise.resolve({ ...manifest, databases: [{ ...other!, dumps: [wrong] }] }),
  };
  const checks = await Array.fromAsync(verifySnapshot(lying, entry.id, silent));
  expect(checks.filter(({ result }) => result === 'fail').map(({ id, detail }) => [id, detail?.[0]])).toEqual(
    [['verify.database', expect.stringContaining('mas.dump')]],
  );
});
