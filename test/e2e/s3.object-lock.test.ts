import {
  DeleteObjectCommand,
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openS3Store } from '../../src/storage/s3/store.ts';
import type { ObjectLock } from '../../src/storage/s3/client.ts';
import { retrying } from '../../src/storage/retrying.ts';
import { lifeboat } from '../cli/run.ts';
import { backUp, makeRepository, readBack, sampleSource } from '../repository/fixture.ts';
import { listAll } from '../repository/memory-store.ts';
import { startS3, type S3Server } from '../storage/s3/server.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startS3();
});
afterAll(() => server[Symbol.asyncDispose]());

const DAY_MS = 86_400_000;
const NOW = { dryRun: false, graceMs: 0 };

async function lockedBucket(objectLock: ObjectLock) {
  const bucket = await server.bucket({ objectLock: true });
  const open = (lock: ObjectLock = objectLock) =>
    openS3Store({ ...server.options(bucket), objectLock: lock }).then((store) => retrying(store));
  const versions = async () =>
    (await server.admin.send(new ListObjectVersionsCommand({ Bucket: bucket }))).Versions ?? [];
  /** Days that are left, by S3 itself. */
  const daysLeft = async (Key: string) => {
    const { Retention } = await server.admin.send(new GetObjectRetentionCommand({ Bucket: bucket, Key }));
    return (Retention!.RetainUntilDate!.getTime() - Date.now()) / DAY_MS;
  };
  /** What only an administrator can do, and only in governance mode. */
  const release = async (Key: string, until: Date) => {
    const Retention = { Mode: 'GOVERNANCE', RetainUntilDate: until } as const;
    await server.admin.send(
      new PutObjectRetentionCommand({ Bucket: bucket, Key, Retention, BypassGovernanceRetention: true }),
    );
  };
  return { bucket, open, versions, daysLeft, release, store: await open() };
}

it('what is written is protected: a delete is refused, says until when, and hides nothing', async () => {
  const { bucket, store, versions, daysLeft } = await lockedBucket({ mode: 'compliance', days: 3 });
  expect(await store.put('packs/a', Buffer.from('kept'))).toBe('created');
  expect(await daysLeft('packs/a')).toBeGreaterThan(2.9);
  const { lockedUntil } = (await store.stat('packs/a'))!;
  expect(lockedUntil!.getTime()).toBeGreaterThan(Date.now() + 2.9 * DAY_MS);
  await expect(store.delete('packs/a')).rejects.toMatchObject({
    code: 'object-locked',
    message: expect.stringContaining(lockedUntil!.toISOString().slice(0, 10)),
  });
  expect(await store.get('packs/a')).toEqual(Buffer.from('kept'));
  const [version] = await versions();
  const place = { Bucket: bucket, Key: 'packs/a', VersionId: version!.VersionId };
  await expect(server.admin.send(new DeleteObjectCommand(place))).rejects.toThrow('object lock');
});

it('what is protected no more is really deleted, and leaves no marker behind', async () => {
  const { bucket, store, versions, release } = await lockedBucket({ mode: 'governance', days: 3 });
  await store.put('packs/a', Buffer.from('old'));
  await release('packs/a', new Date(Date.now() + 1500));
  await expect
    .poll(
      () =>
        store.delete('packs/a').then(
          () => 'deleted',
          () => 'locked',
        ),
      { timeout: 10_000 },
    )
    .toBe('deleted');
  await store.delete('packs/a');
  expect(await versions()).toEqual([]);
  const { DeleteMarkers = [] } = await server.admin.send(new ListObjectVersionsCommand({ Bucket: bucket }));
  expect(DeleteMarkers).toEqual([]);
});

it('protection is given anew where little of it is left, and nowhere else', async () => {
  const { store, open, daysLeft, release } = await lockedBucket({ mode: 'governance', days: 30 });
  for (const key of ['packs/young', 'packs/old']) await store.put(key, Buffer.from(key));
  await release('packs/old', new Date(Date.now() + 5 * DAY_MS));
  const longer = await open({ mode: 'governance', days: 40 });
  expect(await longer.protect!(['packs/young', 'packs/old', 'packs/never'])).toBe(1);
  expect(await daysLeft('packs/old')).toBeGreaterThan(39);
  expect(await daysLeft('packs/young')).toBeLessThan(31);
});

it('a backup extends what it leans on, prune waits for what is protected, and nothing is lost', async () => {
  const { store, versions, daysLeft, release } = await lockedBucket({ mode: 'governance', days: 30 });
  await using fixture = await makeRepository(undefined, store);
  const source = sampleSource();
  const { entry: first } = await backUp(await fixture.open(), source);
  const packs = await listAll(store, 'packs/');
  for (const { key } of packs) await release(key, new Date(Date.now() + 2 * DAY_MS));

  const second = await backUp(await fixture.open(), source);
  expect(second.newPacks).toBe(0);
  expect(second.unprotected).toBeUndefined();
  for (const { key } of packs) expect(await daysLeft(key)).toBeGreaterThan(29);
  expect(await daysLeft('lifeboat.json')).toBeGreaterThan(29);

  const repository = await fixture.open();
  await repository.forget([first.id, second.entry.id], {});
  const pruned = await repository.prune(NOW);
  expect(pruned.lockedObjects).toBe(pruned.markedObjects);
  expect(pruned.markedObjects).toBeGreaterThan(packs.length);
  expect(await listAll(store, 'packs/')).toHaveLength(packs.length);
  const third = await backUp(await fixture.open(), source);
  expect(await repository.check({ readData: 'all', decrypt: true })).toMatchObject({
    ok: true,
    findings: [],
  });

  const marked = packs.map(({ key }) => key);
  for (const key of marked) await release(key, new Date(Date.now() + 1000));
  await expect
    .poll(async () => (await repository.prune(NOW)).lockedObjects, { timeout: 20_000 })
    .toBe(pruned.lockedObjects - packs.length);
  expect((await versions()).filter(({ Key }) => marked.includes(Key!))).toEqual([]);
  expect(await readBack(await fixture.open(), third.entry.id)).toEqual(source);
});

it('check tells people and programs until when everything is protected', async () => {
  const { bucket, store, release } = await lockedBucket({ mode: 'governance', days: 30 });
  await using fixture = await makeRepository(undefined, store);
  await backUp(await fixture.open(), sampleSource());
  const { accessKeyId, secretAccessKey } = server;
  const config = join(fixture.directory, 'lifeboat.yaml');
  const yaml = `version: 1
homeserver: {kind: synapse, config: [/nowhere/homeserver.yaml]}
repository:
  path: s3:${server.endpoint}/${bucket}
  s3:
    access_key_id: ${accessKeyId}
    secret_access_key: {env: LOCK_TEST_SECRET}
    object_lock: {mode: governance, days: 30}
  host_key_file: host.key
  state_directory: state
`;
  await writeFile(config, yaml, { mode: 0o600 });
  const run = (...argv: string[]) =>
    lifeboat([...argv, '--config', config], { env: { LOCK_TEST_SECRET: secretAccessKey.reveal() } });
  const protection = async () => (await run('check', '--json')).messages.at(-1)!['protection'];
  const objects = (await listAll(store)).length;
  const day = (days: number) =>
    expect.stringMatching(`^${new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10)}T`);
  expect(await protection()).toEqual({ objects, unprotected: 0, earliest: day(30), latest: day(30) });

  const [first, second] = await listAll(store, 'packs/');
  await release(first!.key, new Date(Date.now() + 2 * DAY_MS));
  await release(second!.key, new Date(Date.now() + 1000));
  await expect
    .poll(protection, { timeout: 10_000 })
    .toEqual({ objects, unprotected: 1, earliest: day(2), latest: day(30) });
  const { stdout, status } = await run('check');
  expect(stdout).toMatch(
    /^Object Lock: \d+ of \d+ needed objects are protected, until .*Z at the earliest and .*Z at the latest; 1 can be deleted now/m,
  );
  expect(status).toBe(0);
});

it('a bucket without Object Lock refuses the first object, in words', async () => {
  const bucket = await server.bucket();
  const store = await openS3Store({ ...server.options(bucket), objectLock: { mode: 'compliance', days: 3 } });
  await expect(store.put('packs/a', Buffer.from('a'))).rejects.toMatchObject({
    code: 'store-denied',
    message: expect.stringMatching(/object ?lock/i),
  });
});
