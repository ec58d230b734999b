import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DeleteObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, type Config } from '../../src/config/index.ts';
import { EXIT } from '../../src/core/errors.ts';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import { register } from '../../src/demo/world/client.ts';
import type { MediaFile } from '../../src/repository/manifest.ts';
import type { Repository } from '../../src/repository/port.ts';
import { lifeboat } from '../cli/run.ts';
import { startS3, type S3Server } from '../storage/s3/server.ts';
import { startLab, type Lab } from './backed-up-world.ts';
import { pythonWithS3, storageProvider } from './synapse-with-s3.ts';

/** A Synapse with synapse-s3-storage-provider, whose media go into buckets of the same server: one with versions, one without. */
const LARGE = 12 * 1024 * 1024;

let lab: Lab;
let server: S3Server;
let source: string;
let target: string;
let home: LabSynapse;
let plain: Config;
let config: Config;
let onlyOnDisk: string;
let paths: string[];

beforeAll(async () => {
  [lab, server] = await Promise.all([startLab(), startS3()]);
  source = await server.bucket();
  target = await server.bucket();
  await server.admin.send(
    new PutBucketVersioningCommand({ Bucket: target, VersioningConfiguration: { Status: 'Enabled' } }),
  );
  const python = await pythonWithS3(lab.directory);
  home = await lab.startServer('home', { python, extraConfig: storageProvider(server, source, 'media/') });
  const alice = await register(home.clientUrl, home.registrationSecret, 'alice', 'Alice');
  paths = [];
  for (const size of [LARGE, 40_000, 40_000, 40_000])
    paths.push(
      pathOf(await alice.upload(new Uint8Array(randomBytes(size)), 'application/octet-stream', 'file')),
    );
  onlyOnDisk = paths[1]!;
  await server.admin.send(new DeleteObjectCommand({ Bucket: source, Key: `media/${onlyOnDisk}` }));
  for (const path of [paths[0]!, paths[2]!]) await rm(join(home.mediaDirectory, path));
  plain = await lab.configure(home);
  config = await configured('sync', target, server.accessKeyId, server.secretAccessKey.reveal());
});

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const pathOf = (mxc: string): string => {
  const id = mxc.split('/').at(-1)!;
  return `local_content/${id.slice(0, 2)}/${id.slice(2, 4)}/${id.slice(4)}`;
};

async function configured(name: string, bucket: string, key: string, secret: string): Promise<Config> {
  const file = join(lab.directory, `${name}.yaml`);
  const media = {
    strategy: 's3-sync',
    s3_sync: {
      place: `s3:${server.endpoint}/${bucket}/backup`,
      access_key_id: key,
      secret_access_key: secret,
    },
  };
  await writeFile(file, `${await readFile(plain.file, 'utf8')}\nmedia: ${JSON.stringify(media)}\n`);
  return await loadConfig(file, { LIFEBOAT_IDENTITY_FILE: plain.repository.identityFile! });
}

const rowsOf = async (repository: Repository, id: string): Promise<MediaFile[]> =>
  await Array.fromAsync(repository.mediaFiles(id));
const versions = async (): Promise<string[]> => {
  const { Versions = [] } = await server.admin.send(new ListObjectVersionsCommand({ Bucket: target }));
  return Versions.map(({ Key, VersionId }) => `${Key} ${VersionId}`);
};
const verify = async (id: string, { file }: Pick<Config, 'file'> = config) => {
  const identity = ['--identity', plain.repository.identityFile!];
  const { status, stdout, stderr } = await lifeboat(['verify', id, '--config', file, ...identity]);
  return { status, stdout, stderr };
};

describe('media copied from bucket and directory into another bucket', () => {
  let first: string;

  it('are all there under their paths, each with the version that the snapshot names', async () => {
    const { outcome, repository } = await lab.backUp(config);
    expect(outcome.omissions).toEqual([]);
    first = outcome.commit.entry.id;
    const rows = await rowsOf(repository, first);
    expect(rows.map(({ path }) => path)).toEqual(paths.toSorted());
    expect(await versions()).toEqual(
      rows.map(({ path, object }) => `backup/media/${path} ${object!.versionId}`),
    );
    expect((await repository.manifest(first)).media).toMatchObject({
      strategy: 's3-sync',
      external: { place: `s3:${server.endpoint}/${target}/backup`, generation: 'media' },
    });
    expect(await verify(first)).toMatchObject({ status: EXIT.ok });
  });

  it('are not copied again, also where this machine has forgotten what it copied', async () => {
    const before = await versions();
    await lab.backUp(config);
    await rm(join(config.repository.stateDirectory, 'media'), { recursive: true });
    const { outcome, repository } = await lab.backUp(config);
    expect(await versions()).toEqual(before);
    expect((await rowsOf(repository, outcome.commit.entry.id)).map(({ object }) => object)).toEqual(
      (await rowsOf(repository, first)).map(({ object }) => object),
    );
  });

  it('are read in the version of the snapshot, whatever was written over it', async () => {
    const Key = `backup/media/${paths[3]}`;
    await server.admin.send(new PutObjectCommand({ Bucket: target, Key, Body: 'garbage' }));
    expect(await verify(first)).toMatchObject({ status: EXIT.ok });
    await server.admin.send(new DeleteObjectCommand({ Bucket: target, Key }));
    expect(await verify(first)).toMatchObject({ status: EXIT.ok });
    const { outcome } = await lab.backUp(config);
    expect(outcome.omissions).toEqual([]);
    // versitygw 1.8.0 makes a delete marker of what is written over one: it lies under a name of its own then.
    expect(await verify('latest')).toMatchObject({ status: EXIT.ok });
  });

  it('keep what older snapshots name when a file changes: the new content gets a name of its own', async () => {
    const path = 'local_thumbnails/aa/bb/cc/32-32-image-png-crop';
    const put = (Body: string) =>
      server.admin.send(new PutObjectCommand({ Bucket: source, Key: `media/${path}`, Body }));
    const { connect } = await import('../../src/database/index.ts');
    await using session = await connect(home.database, { applicationName: 'test' });
    await session.query(
      `INSERT INTO local_media_repository (media_id, media_type, created_ts, user_id) VALUES ('aabbcc', 'image/png', 1, '@a:b')`,
    );
    await session.query(
      `INSERT INTO local_media_repository_thumbnails (media_id, thumbnail_width, thumbnail_height, thumbnail_type, thumbnail_method, thumbnail_length)
        VALUES ('aabbcc', 32, 32, 'image/png', 'crop', 3)`,
    );
    await put('old');
    const old = (await lab.backUp(config)).outcome.commit.entry.id;
    await put('new');
    const { outcome, repository } = await lab.backUp(config);
    const row = (await rowsOf(repository, outcome.commit.entry.id)).find((file) => file.path === path)!;
    expect(row.object!.key).toMatch(new RegExp(`^${path}\\.[0-9a-f]{16}$`));
    expect(await verify(old)).toMatchObject({ status: EXIT.ok });
    expect(await verify('latest')).toMatchObject({ status: EXIT.ok });
    const before = await versions();
    await lab.backUp(config);
    expect(await versions()).toEqual(before);
  });

  it('are restored into a media directory', async () => {
    const into = join(lab.directory, 'restored');
    const { status, stderr } = await lifeboat([
      ...['restore', 'latest', '--only', 'media', '--target', into],
      ...['--config', config.file, '--identity', plain.repository.identityFile!],
    ]);
    expect({ status, stderr }).toMatchObject({ status: EXIT.ok });
  });

  it('go through this machine where the server may not copy, large ones in parts, and without versions that is told', async () => {
    const other = await server.bucket();
    const user = await server.user(other, [{ actions: ['s3:*'], resources: ['', '/*'] }]);
    const streamed = await configured('streamed', other, user.accessKeyId!, user.secretAccessKey!.reveal());
    const { outcome, repository } = await lab.backUp(streamed);
    expect(outcome.omissions).toEqual([]);
    const { warnings } = await repository.manifest(outcome.commit.entry.id);
    expect(warnings).toContainEqual(expect.stringContaining('keeps no versions'));
    const { Contents = [] } = await server.admin.send(new ListObjectsV2Command({ Bucket: other }));
    expect(Contents.length).toBe(paths.length + 1);
    const large = Contents.find(({ Size }) => Size === LARGE);
    expect(large?.ETag).toMatch(/-2"$/);
    expect(await verify('latest', streamed)).toMatchObject({ status: EXIT.ok });
  });

  it('stay in the snapshot when they are gone from the source, and that is told', async () => {
    const path = paths[2]!;
    await server.admin.send(new DeleteObjectCommand({ Bucket: source, Key: `media/${path}` }));
    const { outcome, repository } = await lab.backUp(config);
    expect(outcome.omissions).toEqual([
      expect.stringMatching(new RegExp(`^1 media files are gone, .*${path}$`)),
    ]);
    const id = outcome.commit.entry.id;
    expect((await rowsOf(repository, id)).map((row) => row.path)).toContain(path);
    expect((await repository.manifest(id)).media.missingUris).toEqual([
      `mxc://${home.serverName}/${path.split('/').slice(1).join('')}`,
    ]);
    expect(await verify('latest')).toMatchObject({ status: EXIT.ok });
  });

  it('are told to be damaged when an object is not what the snapshot says, or gone with all its versions', async () => {
    const { outcome, repository } = await lab.backUp(config);
    const rows = await rowsOf(repository, outcome.commit.entry.id);
    const row = rows.find(({ path }) => path === onlyOnDisk);
    const Key = `backup/media/${row!.path}`;
    const VersionId = row!.object!.versionId!;
    await server.admin.send(new DeleteObjectCommand({ Bucket: target, Key, VersionId }));
    await server.admin.send(new PutObjectCommand({ Bucket: target, Key, Body: randomBytes(row!.sizeBytes) }));
    const { status, stdout } = await verify('latest');
    expect(stdout).toContain(row!.path);
    expect(status).toBe(EXIT.failed);
  });
});
