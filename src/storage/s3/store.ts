import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import { requireValidKey } from '../key.ts';
import type { ObjectStat, ObjectStore } from '../port.ts';
import { s3Error, type Asked } from './errors.ts';

export interface S3StoreOptions {
  /** `https://s3.example.com`; undefined: Amazon's, by region. */
  readonly endpoint?: string | undefined;
  readonly bucket: string;
  /** Without slashes at its ends; empty: the whole bucket. */
  readonly prefix: string;
  readonly region?: string | undefined;
  /** Without a key: AWS_ACCESS_KEY_ID and what else the SDK's default chain finds. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: Secret | undefined;
  readonly pathStyle?: boolean | undefined;
  readonly caFile?: string | undefined;
  readonly checksums?: 'required' | 'supported' | undefined;
  readonly objectLock?: { readonly mode: 'governance' | 'compliance'; readonly days: number } | undefined;
}

/** A request that makes no progress for so long is given up, and may be tried again. */
const STALL_MS = 60_000;
const CONNECT_MS = 15_000;
const DAY_MS = 86_400_000;

/**
 * Objects in a bucket of any server that speaks S3. A put is one PutObject with `If-None-Match: *` (create-only: AWS since
 * August 2024, MinIO, Ceph, versitygw; `lifeboat storage probe` finds out), never multipart, so that an object is there
 * wholly or not at all. The SDK's own retries are off: `retrying` does it for all stores.
 * Errors: `file-unreadable` (the CA file); of all operations `store-unreachable`, `store-denied`, `repository-missing`.
 */
export async function openS3Store(options: S3StoreOptions): Promise<ObjectStore> {
  const { bucket, prefix, objectLock } = options;
  const client = await createClient(options);
  const location = `s3:${options.endpoint ?? '/'}/${bucket}${prefix === '' ? '' : `/${prefix}`}`;
  const nameOf = (key: string): string => {
    requireValidKey(key);
    return prefix === '' ? key : `${prefix}/${key}`;
  };
  const explained = async <T>(
    operation: Asked['operation'],
    key: string,
    task: () => Promise<T>,
  ): Promise<T> => {
    try {
      return await task();
    } catch (error) {
      // A key that no store takes is a mistake of ours.
      if (error instanceof RangeError) throw error;
      throw s3Error(error, { operation, key, location });
    }
  };

  async function* list(listed: string): AsyncGenerator<ObjectStat> {
    const within = prefix === '' ? '' : `${prefix}/`;
    let token: string | undefined;
    do {
      const page = await explained('list', listed, () =>
        client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: `${within}${listed}`,
            ContinuationToken: token,
          }),
        ),
      );
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key === undefined || Key.endsWith('/')) continue;
        yield { key: Key.slice(within.length), sizeBytes: Size ?? 0, modified: LastModified ?? new Date(0) };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  return {
    location,
    capabilities: { createOnly: 'if-none-match', objectLock: objectLock !== undefined, versioning: false },
    put: async (key, body) =>
      await explained('put', key, async () => {
        const Key = nameOf(key);
        try {
          await client.send(
            new PutObjectCommand({
              Bucket: bucket,
              Key,
              Body: body,
              ContentLength: body.length,
              IfNoneMatch: '*',
              ChecksumSHA256: createHash('sha256').update(body).digest('base64'),
              ...retention(objectLock),
            }),
          );
          return 'created';
        } catch (error) {
          if (statusOf(error) === 412) return 'exists';
          throw error;
        }
      }),
    get: async (key, range) =>
      await explained('get', key, async () => {
        if (range?.length === 0) return Buffer.alloc(0);
        const { Body } = await client
          .send(
            new GetObjectCommand({
              Bucket: bucket,
              Key: nameOf(key),
              ...(range === undefined
                ? {}
                : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }),
            }),
          )
          .catch((error: unknown) => {
            // The range begins behind the end of the object.
            if (statusOf(error) === 416) return { Body: undefined };
            throw error;
          });
        if (Body === undefined) return Buffer.alloc(0);
        const { buffer, byteOffset, byteLength } = await Body.transformToByteArray();
        return Buffer.from(buffer, byteOffset, byteLength);
      }),
    stat: async (key) =>
      await explained('stat', key, async () => {
        try {
          const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: nameOf(key) }));
          return { key, sizeBytes: head.ContentLength ?? 0, modified: head.LastModified ?? new Date(0) };
        } catch (error) {
          // HEAD has no body: the bucket may be missing, too, which the next operation says.
          if (statusOf(error) === 404) return undefined;
          throw error;
        }
      }),
    list,
    delete: async (key) =>
      await explained('delete', key, async () => {
        try {
          await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: nameOf(key) }));
        } catch (error) {
          if (statusOf(error) !== 404 || (error as Error).name === 'NoSuchBucket') throw error;
        }
      }),
  };
}

async function createClient(options: S3StoreOptions): Promise<S3Client> {
  const { endpoint, accessKeyId, secretAccessKey, caFile } = options;
  const region =
    options.region ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1';
  const authority = caFile ?? process.env['AWS_CA_BUNDLE'];
  const ca = authority === undefined ? undefined : await readCa(authority);
  const checksums = options.checksums === 'required' ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
  return new S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    // A server that is named by its address or alone has no names of buckets below it.
    forcePathStyle: options.pathStyle ?? endpoint !== undefined,
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey: secretAccessKey.reveal() } }),
    maxAttempts: 1,
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: STALL_MS,
      socketTimeout: STALL_MS,
      ...(ca === undefined ? {} : { httpsAgent: new Agent({ ca, keepAlive: true }) }),
    },
  });
}

async function readCa(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((error: unknown) => {
    throw new LifeboatError(
      'file-unreadable',
      `cannot read the certificate authority ${file}: ${messageOf(error)}`,
      {
        hint: 'Correct repository.s3.ca_file.',
        cause: error,
      },
    );
  });
}

function retention(lock: S3StoreOptions['objectLock']): object {
  if (lock === undefined) return {};
  return {
    ObjectLockMode: lock.mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE',
    ObjectLockRetainUntilDate: new Date(Date.now() + lock.days * DAY_MS),
  };
}

function statusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}
