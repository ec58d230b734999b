import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { Secret } from '../../../src/core/secret.ts';
import type { S3StoreOptions } from '../../../src/storage/s3/store.ts';

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
      ...['--port', `127.0.0.1:${port}`, '--iam-dir', join(directory, 'iam'), '--quiet'],
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
  const server: S3Server = {
    port,
    endpoint,
    accessKeyId,
    secretAccessKey,
    caFile: options.tls === true ? certificate : undefined,
    bucket: async ({ objectLock = false } = {}) => {
      const name = `bucket-${randomBytes(4).toString('hex')}`;
      const plain =
        options.tls === true ? { requestHandler: { httpsAgent: { rejectUnauthorized: false } } } : {};
      const client = new S3Client({
        region: 'us-east-1',
        endpoint,
        forcePathStyle: true,
        credentials: { accessKeyId, secretAccessKey: secretAccessKey.reveal() },
        ...plain,
      });
      await client.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: objectLock }));
      client.destroy();
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
    [Symbol.asyncDispose]: async () => {
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
