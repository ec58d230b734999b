import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { Secret } from '../../../src/core/secret.ts';
import type { S3StoreOptions } from '../../../src/storage/s3/client.ts';

/** scripts/setup/versitygw.mjs builds it. */
const CACHE =
  process.getuid?.() === 0
    ? '/var/cache/matrix-lifeboat'
    : join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'matrix-lifeboat');
const PROGRAM = join(CACHE, 'versitygw-1.8.0', 'versitygw');

export interface S3Server extends AsyncDisposable {
  readonly port: number;
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  /** Of its certificate; undefined without TLS. */
  readonly caFile: string | undefined;
  /** A new bucket; with Object Lock when asked for. */
  bucket(options?: { objectLock?: boolean }): Promise<string>;
  options(bucket: string, prefix?: string): S3StoreOptions;
  /** For what only administrators do, as root. */
  readonly admin: S3Client;
  /** Credentials of a user who may do in this bucket what the statements allow, and nothing else. */
  user(
    bucket: string,
    allowed: readonly Allowed[],
  ): Promise<Pick<S3StoreOptions, 'accessKeyId' | 'secretAccessKey'>>;
}

export interface Allowed {
  readonly actions: readonly string[];
  /** Below the bucket, as `/matrix/*`; empty: the bucket itself. */
  readonly resources: readonly string[];
}

/** A real S3 server on loopback, with directories and keys of its own. */
export async function startS3(options: { tls?: boolean } = {}): Promise<S3Server> {
  const directory = mkdtempSync(join(tmpdir(), 'lifeboat-s3-'));
  for (const name of ['data', 'versions', 'iam', 'sidecar']) mkdirSync(join(directory, name));
  const port = await freePort();
  const accessKeyId = `key${randomBytes(4).toString('hex')}`;
  const secretAccessKey = new Secret(randomBytes(16).toString('hex'));
  const [certificate, key] = [join(directory, 'tls.crt'), join(directory, 'tls.key')];
  if (options.tls === true) {
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const request = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
    ];
    execFileSync('openssl', [...request, ...subject, '-keyout', key, '-out', certificate], {
      stdio: 'ignore',
    });
  }
  const child = spawn(
    PROGRAM,
    [
      ...[
        '--port',
        `127.0.0.1:${port}`,
        '--iam-dir',
        join(directory, 'iam'),
        '--iam-cache-disable',
        '--quiet',
      ],
      ...(options.tls === true ? ['--cert', certificate, '--key', key] : []),
      ...['posix', '--sidecar', join(directory, 'sidecar'), '--versioning-dir', join(directory, 'versions')],
      join(directory, 'data'),
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey.reveal() },
    },
  );
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const endpoint = `${options.tls === true ? 'https' : 'http'}://127.0.0.1:${port}`;
  // What administrators do is not what is tested: the certificate is not looked at.
  const admin = new S3Client({
    region: 'us-east-1',
    endpoint,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey: secretAccessKey.reveal() },
    requestHandler: options.tls === true ? { httpsAgent: { rejectUnauthorized: false } } : {},
  });
  const server: S3Server = {
    admin,
    port,
    endpoint,
    accessKeyId,
    secretAccessKey,
    caFile: options.tls === true ? certificate : undefined,
    bucket: async ({ objectLock = false } = {}) => {
      const name = `bucket-${randomBytes(4).toString('hex')}`;
      await admin.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: objectLock }));
      return name;
    },
    options: (bucket, prefix = '') => ({
      endpoint,
      bucket,
      prefix,
      accessKeyId,
      secretAccessKey,
      caFile: server.caFile,
    }),
    user: async (bucket, allowed) => {
      const name = `user${randomBytes(4).toString('hex')}`;
      const secret = randomBytes(16).toString('hex');
      const create = ['create-user', '--access', name, '--secret', secret, '--role', 'user'];
      const tls = options.tls === true ? ['--allow-insecure'] : [];
      execFileSync(PROGRAM, ['admin', '--endpoint-url', endpoint, ...tls, ...create], {
        env: { ADMIN_ACCESS_KEY_ID: accessKeyId, ADMIN_SECRET_ACCESS_KEY: secretAccessKey.reveal() },
        stdio: 'pipe',
      });
      const Policy = JSON.stringify({
        Version: '2012-10-17',
        Statement: allowed.map(({ actions, resources }) => ({
          Effect: 'Allow',
          Principal: { AWS: [name] },
          Action: actions,
          Resource: resources.map((resource) => `arn:aws:s3:::${bucket}${resource}`),
        })),
      });
      await admin.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
      return { accessKeyId: name, secretAccessKey: new Secret(secret) };
    },
    [Symbol.asyncDispose]: async () => {
      admin.destroy();
      child.kill('SIGTERM');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
  for (let tries = 0; ; tries += 1) {
    const up = await server.bucket().then(
      () => true,
      () => false,
    );
    if (up) return server;
    if (tries === 100 || child.exitCode !== null) throw new Error(`versitygw did not start: ${said}`);
    await sleep(100);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
