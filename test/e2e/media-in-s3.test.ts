import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.ts';
import { EXIT } from '../../src/core/errors.ts';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import { connect } from '../../src/database/index.ts';
import { register } from '../../src/demo/world/client.ts';
import { picture } from '../../src/demo/world/picture.ts';
import { lifeboat } from '../cli/run.ts';
import { startS3, type S3Server } from '../storage/s3/server.ts';
import { startLab, type Lab } from './backed-up-world.ts';
import { pythonWithS3, storageProvider } from './synapse-with-s3.ts';

/**
 * A Synapse with the real synapse-s3-storage-provider, whose bucket and directory each have only a part of the media: as
 * `s3_media_upload --delete` leaves the directory, and an upload that failed the bucket.
 */
const PREFIX = 'synapse/media/';
/** boto3 uploads in parts from 8 MB on. */
const LARGE = 12 * 1024 * 1024;

let lab: Lab;
let server: S3Server;
let bucket: string;
let home: LabSynapse;
let config: Config;
/** Path in the media store -> SHA-256. */
const uploaded = new Map<string, string>();
let onlyInBucket: string[];
let onlyOnDisk: string;

beforeAll(async () => {
  [lab, server] = await Promise.all([startLab(), startS3()]);
  bucket = await server.bucket();
  const python = await pythonWithS3(lab.directory);
  home = await lab.startServer('home', { python, extraConfig: storageProvider(server, bucket, PREFIX) });
  const alice = await register(home.clientUrl, home.registrationSecret, 'alice', 'Alice');
  const upload = async (body: Uint8Array<ArrayBuffer>, type = 'application/octet-stream') => {
    const path = pathOf(await alice.upload(body, type, 'file'));
    uploaded.set(path, createHash('sha256').update(body).digest('hex'));
    return path;
  };
  const large = await upload(new Uint8Array(randomBytes(LARGE)));
  const shown = await upload(picture(300, 200, 20), 'image/png');
  const small = [];
  for (let number = 0; number < 4; number += 1) small.push(await upload(new Uint8Array(randomBytes(40_000))));
  onlyOnDisk = small[0]!;
  onlyInBucket = [large, shown, small[1]!];
  for (const path of onlyInBucket) await rm(join(home.mediaDirectory, path));
  await rm(join(home.mediaDirectory, 'local_thumbnails'), { recursive: true });
  await server.admin.send(new DeleteObjectCommand({ Bucket: bucket, Key: PREFIX + onlyOnDisk }));
  config = await lab.configure(home);
});

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const pathOf = (mxc: string): string => {
  const id = mxc.split('/').at(-1)!;
  return `local_content/${id.slice(0, 2)}/${id.slice(2, 4)}/${id.slice(4)}`;
};
const mxcOf = (path: string): string => `mxc://${home.serverName}/${path.split('/').slice(1).join('')}`;
const identity = () => ['--identity', config.repository.identityFile!];
const run = (...argv: string[]) => lifeboat([...argv, '--config', config.file]);

describe('media of which some lie only in the bucket, and some only on the disk', () => {
  it('are all in the backup, thumbnails too, without a warning of the bucket', async () => {
    const listed = await server.admin.send(new ListObjectsV2Command({ Bucket: bucket }));
    const keys = listed.Contents!.map(({ Key }) => Key!);
    expect(keys).toEqual(expect.arrayContaining(onlyInBucket.map((path) => PREFIX + path)));
    expect(keys).not.toContain(PREFIX + onlyOnDisk);
    const { outcome, repository } = await lab.backUp(config);
    expect(outcome.omissions).toEqual([]);
    expect(outcome.plan.warnings).toEqual([]);
    const stored = new Map<string, string>();
    for await (const { path, sha256 } of repository.mediaFiles(outcome.commit.entry.id))
      stored.set(path, sha256);
    const originals = [...stored].filter(([path]) => path.startsWith('local_content/'));
    expect(new Map(originals)).toEqual(uploaded);
    expect([...stored.keys()].filter((path) => path.startsWith('local_thumbnails/')).length).toBeGreaterThan(
      0,
    );
  });

  it('are drilled without the bucket, and without the storage provider', async () => {
    const drill = await run('drill', 'latest', ...identity());
    expect(drill.stdout).toContain('PASS');
    expect(drill.status).toBe(EXIT.ok);
  });

  it('are shown by the plan with their bucket, and never with its key', async () => {
    const { stdout, stderr } = await run('backup', '--dry-run');
    expect(stdout).toContain(`and the bucket ${bucket}/${PREFIX}`);
    expect(stdout + stderr).not.toContain(server.secretAccessKey.reveal());
  });

  it('are told when they are in neither, or in the bucket without a row', async () => {
    const stray = 'local_content/ZZ/zz/stray';
    await server.admin.send(new PutObjectCommand({ Bucket: bucket, Key: PREFIX + stray, Body: 'stray' }));
    const [gone] = onlyInBucket.slice(-1);
    await server.admin.send(new DeleteObjectCommand({ Bucket: bucket, Key: PREFIX + gone }));
    const { outcome, repository } = await lab.backUp(config, { compareMedia: true });
    const { media } = await repository.manifest(outcome.commit.entry.id);
    expect(media).toMatchObject({ missingCount: 0, orphans: [stray], orphanCount: 1 });
    expect(media.missingUris).toEqual([mxcOf(gone!)]);
    expect(outcome.omissions).toEqual([
      expect.stringMatching(new RegExp(`gone, and the snapshot has .* ${gone}$`)),
    ]);
  });

  it('are named as clients call them, also those of other servers, by backup and show', async () => {
    const [gone] = onlyInBucket.slice(-1);
    const sql = `INSERT INTO remote_media_cache (media_origin, media_id, media_type, created_ts, upload_name, media_length, filesystem_id, last_access_ts)
      VALUES ('far.example', 'TheirId', 'image/png', 1, 'x', 5, 'OurOwnName', 1)`;
    await using session = await connect(home.database, { applicationName: 'test' });
    await session.query(sql);
    const file = join(lab.directory, 'remote.yaml');
    const classes = 'classes: [local_content, local_thumbnails, remote_content]';
    await writeFile(file, `${await readFile(config.file, 'utf8')}\nmedia: {${classes}}\n`);
    const { status, messages, stderr } = await lifeboat(['backup', '--json', '--config', file]);
    expect(stderr).toContain(`media without file: ${mxcOf(gone!)} mxc://far.example/TheirId`);
    const missing = [mxcOf(gone!), 'mxc://far.example/TheirId'];
    expect(messages.at(-1)).toMatchObject({
      media_without_file: missing,
      files_without_row: [`mxc://${home.serverName}/ZZzzstray`],
    });
    expect(status).toBe(EXIT.omissions);
    const shown = await run('show', 'latest', ...identity());
    for (const uri of missing) expect(shown.stdout).toContain(`without file: ${uri}`);
    await session.query('DELETE FROM remote_media_cache');
    const stray = `${PREFIX}local_content/ZZ/zz/stray`;
    await server.admin.send(new DeleteObjectCommand({ Bucket: bucket, Key: stray }));
  });

  it('are read again as a sample, and a file that was damaged since it was stored is named', async () => {
    const path = join(home.mediaDirectory, onlyOnDisk);
    const original = await readFile(path);
    await writeFile(path, Buffer.from(original).fill(0, 100, 101));
    const { outcome } = await lab.backUp(config, { sampleMedia: 1000 });
    expect(outcome.omissions).toContainEqual(
      expect.stringMatching(
        new RegExp(`^1 of \\d+ media files read again differ from the source: ${onlyOnDisk}$`),
      ),
    );
    const verified = await run('verify', 'latest', '--sample', '1000', ...identity());
    expect(verified.stdout).toContain(onlyOnDisk);
    expect(verified.status).toBe(EXIT.failed);
    await writeFile(path, original);
    expect(await run('verify', 'latest', '--sample', '1000', ...identity())).toMatchObject({
      status: EXIT.ok,
    });
  });

  it('are told when they vanish after the snapshot of the database was taken, and nothing else is lost by it', async () => {
    const alice = await register(home.clientUrl, home.registrationSecret, 'carol', 'Carol');
    const mxc = await alice.upload(
      new Uint8Array(randomBytes(30_000)),
      'application/octet-stream',
      'short-lived',
    );
    const path = pathOf(mxc);
    const key = { Bucket: bucket, Key: PREFIX + path };
    await server.admin.send(new DeleteObjectCommand(key));
    const gone: string[] = [];
    const progress = ({ phase }: { readonly phase: string }) => {
      if (phase !== 'database' || gone.length > 0) return;
      rmSync(join(home.mediaDirectory, path));
      gone.push(path);
    };
    const { outcome, repository } = await lab.backUp(config, { progress });
    expect(gone).toEqual([path]);
    expect(outcome.agreement.missing).toContain(mxc);
    const { media, database } = await repository.manifest(outcome.commit.entry.id);
    expect(media.missing).toContain(path);
    expect(database.invariants.tableRows['local_media_repository']).toBe(uploaded.size + 1);
    expect(media.files).toBeGreaterThanOrEqual(uploaded.size - 1);
  });

  it('are left out where lifeboat.yaml says so, and that is warned of', async () => {
    const file = join(lab.directory, 'ignoring.yaml');
    const text = await readFile(config.file, 'utf8');
    await writeFile(file, `${text}\nmedia:\n  s3: {ignore: true}\n  allow_missing: true\n`);
    const { stderr } = await lifeboat(['backup', '--dry-run', '--config', file]);
    expect(stderr).toContain('media that lie only in the bucket are not in the backup');
  });

  it('are refused to be half backed up when the bucket cannot be read', async () => {
    const file = join(lab.directory, 'denied.yaml');
    const text = await readFile(config.file, 'utf8');
    const keys = `{access_key_id: ${server.accessKeyId}, secret_access_key: wrong}`;
    await writeFile(file, `${text}\nmedia:\n  s3: ${keys}\n`);
    const { status, stderr } = await lifeboat(['backup', '--config', file]);
    expect(stderr).toMatch(/the secret key is wrong/);
    expect(status).toBe(EXIT.preflightRefused);
  });
});
