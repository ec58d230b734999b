import type { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3';
import { LifeboatError } from '../../core/errors.ts';
import { requireValidKey } from '../key.ts';
import type { ByteRange, ObjectStat, ObjectStore } from '../port.ts';
import { createClient, type S3StoreOptions } from './client.ts';
import { isConnectionFailure, nameOf, s3Error, statusOf, type S3Request } from './errors.ts';
import { examineBucket } from './examine.ts';
import { deleteObject, eraseObject, extendProtection, type Place } from './locks.ts';
import { putCommand } from './put.ts';

/**
 * Objects of one bucket, below a prefix. `put` is one PutObject with `If-None-Match: *`: of several at once the server takes
 * one. Servers that do not know the condition replace objects instead: `probe.ts` finds out, and `init` refuses them.
 *
 * Errors: `usage`, `file-unreadable` (CA). Those of the port, `store-denied` (credentials, permissions, clock, certificate,
 * bucket), `object-locked`.
 */
export async function openS3Store(options: S3StoreOptions): Promise<ObjectStore> {
  const { bucket, prefix, objectLock } = options;
  const remove =
    options.deleteVersions === true ? eraseObject : (at: Place) => deleteObject(at, objectLock !== undefined);
  const location = locationOf(options);
  const root = prefix === '' ? '' : `${prefix}/`;
  const client = await createClient(options);

  const asking = async <T>(action: string, permission: string, ask: () => Promise<T>): Promise<T> => {
    const request: S3Request = { location, action, permission };
    return await ask().catch((error: unknown) => {
      throw s3Error(error, request);
    });
  };
  const place = (key: string): Place => {
    requireValidKey(key);
    return { client, Bucket: bucket, Key: root + key, key };
  };

  return {
    location,
    capabilities: { createOnly: 'if-none-match', objectLock: objectLock !== undefined, versioning: false },
    put: async (key, body) => {
      const at = place(key);
      const permission = objectLock === undefined ? 's3:PutObject' : 's3:PutObject and s3:PutObjectRetention';
      return await asking(`write ${key}`, permission, () => putObject(at, body, options));
    },
    get: async (key, range) => {
      const at = place(key);
      return await asking(`read ${key}`, 's3:GetObject', () => getObject(at, range, location));
    },
    stat: async (key) => {
      const at = place(key);
      return await asking(`look at ${key}`, 's3:GetObject', () => statObject(at));
    },
    list: (start) => listObjects(start),
    delete: async (key) => {
      const at = place(key);
      const permission = objectLock === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion';
      await asking(`delete ${key}`, permission, () => remove(at));
    },
    examine: async (key) =>
      await asking('examine the bucket', 's3:PutObject', () => examineBucket(place(key), options)),
    ...(objectLock && {
      protect: async (keys: readonly string[]) =>
        await asking('protect objects', 's3:GetObjectRetention and s3:PutObjectRetention', () =>
          extendProtection(keys.map(place), objectLock),
        ),
    }),
  };

  async function* listObjects(start: string): AsyncGenerator<ObjectStat> {
    let token: string | undefined;
    do {
      const page: ListObjectsV2CommandOutput = await asking(
        `list ${start === '' ? 'everything' : start}`,
        's3:ListBucket',
        () =>
          client.send(
            new ListObjectsV2Command({
              Bucket: bucket,
              Prefix: root + start,
              ...(token === undefined ? {} : { ContinuationToken: token }),
            }),
          ),
      );
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        // A folder that somebody made with another tool is an object whose key ends in a slash.
        if (!Key.startsWith(root + start) || Key.endsWith('/')) continue;
        yield { key: Key.slice(root.length), sizeBytes: Size, modified: wholeSeconds(LastModified) };
      }
      const next = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      if (page.IsTruncated === true && (next === undefined || next === token))
        throw new LifeboatError('store-unreachable', `${location} cut a listing short without saying where`);
      token = next;
    } while (token !== undefined);
  }
}

/** As `parseLocation` reads it. */
function locationOf({ endpoint, bucket, prefix }: S3StoreOptions): string {
  const path = prefix === '' ? bucket : `${bucket}/${prefix}`;
  return `s3:${endpoint ?? '/'}/${path}`;
}

async function putObject(
  at: Place,
  body: Uint8Array,
  options: S3StoreOptions,
): Promise<'created' | 'exists'> {
  try {
    await at.client.send(putCommand(at, body, options));
    return 'created';
  } catch (error) {
    if (statusOf(error) === 412) return 'exists';
    // The answer may be all that was lost; and a server that refuses what is there may hang up on a body that it does not want.
    if (isConnectionFailure(error) && (await isThere(at))) return 'exists';
    throw error;
  }
}

/** False also where the access key may not ask. */
async function isThere(at: Place): Promise<boolean> {
  return await statObject(at).then(
    (stat) => stat !== undefined,
    () => false,
  );
}

async function getObject(
  at: Place,
  range: ByteRange | undefined,
  location: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const { client, Bucket, Key } = at;
  try {
    // Not expressible as a range of HTTP.
    if (range?.length === 0) {
      if ((await statObject(at)) === undefined) throw missing(at, location);
      return Buffer.alloc(0);
    }
    const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
    const answer = await client.send(new GetObjectCommand({ Bucket, Key, ...(Range && { Range }) }));
    const bytes = await collect(answer.Body as Readable, answer.ContentLength);
    // A server that does not know ranges answers 200, and sends all.
    if (range === undefined || answer.$metadata.httpStatusCode === 206) return bytes;
    return bytes.subarray(range.offset, range.offset + range.length);
  } catch (error) {
    if (statusOf(error) === 416) return Buffer.alloc(0);
    if (nameOf(error) === 'NoSuchKey') throw missing(at, location, error);
    throw error;
  }
}

export async function collect(
  body: Readable,
  sizeBytes: number | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Buffer[] = [];
  let received = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    parts.push(part);
    received += part.length;
  }
  if (sizeBytes !== undefined && received !== sizeBytes)
    throw new LifeboatError('store-unreachable', `an answer ended after ${received} of ${sizeBytes} bytes`);
  // A copy also of a single part, which may stand in memory that the connection uses again.
  return Buffer.concat(parts, received);
}

async function statObject({ client, Bucket, Key, key }: Place): Promise<ObjectStat | undefined> {
  try {
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    return {
      key,
      sizeBytes: head.ContentLength ?? 0,
      modified: wholeSeconds(head.LastModified),
      ...(head.ObjectLockRetainUntilDate && { lockedUntil: head.ObjectLockRetainUntilDate }),
    };
  } catch (error) {
    // HEAD has no body that could tell a missing bucket from a missing object; listing and writing do.
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

/** HEAD tells seconds, listings of some servers milliseconds: the same object has one time. */
function wholeSeconds(date: Date | undefined): Date {
  return new Date(Math.floor((date?.getTime() ?? 0) / 1000) * 1000);
}

function missing({ key }: Place, location: string, cause?: unknown): LifeboatError {
  return new LifeboatError('object-missing', `object ${key} is missing from ${location}`, {
    cause,
    context: { key },
  });
}
