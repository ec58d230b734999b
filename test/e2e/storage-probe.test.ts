import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/core/errors.ts';
import { openForProbe } from '../../src/storage/open.ts';
import { probe } from '../../src/storage/probe/probe.ts';
import type { S3StoreOptions } from '../../src/storage/s3/client.ts';
import { lifeboat } from '../cli/run.ts';
import { startS3, type Allowed, type S3Server } from '../storage/s3/server.ts';
import { startSshd, type Sshd } from '../storage/sftp/sshd.ts';

/** The probe against the three kinds of stores, each a real one. */
let server: S3Server;
let sshd: Sshd;
let directory: string;

beforeAll(async () => {
  [server, sshd] = await Promise.all([startS3(), startSshd()]);
  directory = mkdtempSync(join(tmpdir(), 'lifeboat-probe-'));
});
afterAll(async () => {
  await Promise.all([server[Symbol.asyncDispose](), sshd[Symbol.asyncDispose]()]);
  rmSync(directory, { recursive: true });
});

type Credentials = Pick<S3StoreOptions, 'accessKeyId' | 'secretAccessKey'>;

const NEEDED = [
  'write and read',
  'read after write',
  'create only',
  '16 writers at once',
  'parts of objects',
  'list',
  'what is missing',
];

/** With credentials in the configuration, as a person would have them. */
function s3Place(bucket: string, credentials: Credentials = server) {
  const { endpoint } = server.options(bucket);
  const { accessKeyId, secretAccessKey } = credentials;
  const none = {
    region: undefined,
    pathStyle: undefined,
    caFile: undefined,
    checksums: undefined,
    objectLock: undefined,
  };
  return { path: `s3:${endpoint}/${bucket}/somewhere`, s3: { ...none, accessKeyId, secretAccessKey } };
}

async function probed(place: Parameters<typeof openForProbe>[0]) {
  const outcome = await probe(await openForProbe(place), await openForProbe(place), {
    lockDays: place.s3?.objectLock?.days,
  });
  return {
    ...outcome,
    results: Object.fromEntries(outcome.findings.map(({ title, result }) => [title, result])),
  };
}

const everything = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 'ok']));

describe('a probe of a real place', () => {
  it('works in a directory, and leaves no folder of its own', async () => {
    const place = join(directory, 'place');
    const { status, stdout } = await lifeboat(['storage', 'probe', place]);
    expect(stdout).toMatch(/^ok +16 writers at once +1 of 16 /m);
    expect(stdout).toContain(`${place} can hold a repository`);
    expect(status).toBe(EXIT.ok);
    expect(readdirSync(place)).toEqual(['tmp']);
  });

  it('works on an SFTP server, and leaves no folder of its own', async () => {
    const place = join(sshd.data, 'place');
    const { identityFile, knownHostsFile, sshOptions } = sshd.options(place);
    const { results, left } = await probed({
      path: `sftp://${sshd.options('').user}@127.0.0.1:${sshd.port}/${place}`,
      sftp: { identityFile, knownHostsFile, options: sshOptions ?? [] },
    });
    expect(results).toEqual(everything([...NEEDED, 'delete', 'clock']));
    expect(left).toBe(0);
    expect(readdirSync(place)).toEqual(['tmp']);
  });

  it('works in a bucket, and says that there is no Object Lock', async () => {
    const bucket = await server.bucket();
    const env = {
      AWS_ACCESS_KEY_ID: server.accessKeyId,
      AWS_SECRET_ACCESS_KEY: server.secretAccessKey.reveal(),
    };
    Object.assign(process.env, env);
    const place = `s3:${server.endpoint}/${bucket}`;
    const { status, messages } = await lifeboat(['storage', 'probe', place, '--json']);
    for (const name of Object.keys(env)) delete process.env[name];
    const results = messages.flatMap(({ message_type: type, title, result }) =>
      type === 'finding' ? [[title, result]] : [],
    );
    expect(Object.fromEntries(results)).toEqual({
      ...everything([...NEEDED, 'delete', 'clock', 'checksums']),
      'Object Lock': 'absent',
      versions: 'absent',
    });
    expect(messages.at(-1)).toMatchObject({ command: 'storage probe', ok: true, left: 0 });
    expect(status).toBe(EXIT.ok);
  });

  it('leaves no version behind in a bucket with Object Lock, though lifeboat.yaml would lock everything', async () => {
    const bucket = await server.bucket({ objectLock: true });
    const place = s3Place(bucket);
    const objectLock = { mode: 'compliance', days: 30 } as const;
    const { results, left } = await probed({ ...place, s3: { ...place.s3, objectLock } });
    expect(results).toEqual(
      everything([...NEEDED, 'delete', 'clock', 'checksums', 'Object Lock', 'versions']),
    );
    expect(left).toBe(0);
    const { Versions = [], DeleteMarkers = [] } = await server.admin.send(
      new ListObjectVersionsCommand({ Bucket: bucket }),
    );
    expect([...Versions, ...DeleteMarkers]).toEqual([]);
  });

  it('says before the first backup that lifeboat.yaml asks for Object Lock that the bucket has not', async () => {
    const place = s3Place(await server.bucket());
    const { results } = await probed({
      ...place,
      s3: { ...place.s3, objectLock: { mode: 'governance', days: 3 } },
    });
    expect(results['Object Lock']).toBe('failed');
  });

  it('tells append-only credentials from others, and what they leave', async () => {
    const bucket = await server.bucket();
    const allowed: Allowed[] = [
      { actions: ['s3:PutObject', 's3:GetObject'], resources: ['/*'] },
      { actions: ['s3:ListBucket'], resources: [''] },
    ];
    const { results, left, prefix } = await probed(s3Place(bucket, await server.user(bucket, allowed)));
    expect(results).toMatchObject({ ...everything(NEEDED), delete: 'absent', 'Object Lock': 'unknown' });
    expect(left).toBeGreaterThan(1000);
    expect(prefix).toMatch(/^lifeboat-probe-[0-9a-f]{16}\/$/);
  });

  it('of what cannot be reached or written to says why, with the status of that', async () => {
    const nowhere = await lifeboat(['storage', 'probe', 'sftp://nobody@127.0.0.1:1//nowhere']);
    expect(nowhere.stderr).toContain('127.0.0.1');
    expect(nowhere.status).toBe(EXIT.softFail);
    const proc = await lifeboat(['storage', 'probe', '/proc/lifeboat']);
    expect(proc.stderr).toContain('/proc/lifeboat');
    expect(proc.status).toBe(EXIT.failed);
    const bucket = await server.bucket();
    const reader = await server.user(bucket, [{ actions: ['s3:GetObject'], resources: ['/*'] }]);
    await expect(probed(s3Place(bucket, reader))).rejects.toMatchObject({ code: 'store-denied' });
    await expect(probed(s3Place('no-such-bucket'))).rejects.toMatchObject({ code: 'repository-missing' });
  });
});
