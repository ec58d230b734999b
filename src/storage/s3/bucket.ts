import type { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type HeadObjectCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { isLifeboatError, LifeboatError } from '../../core/errors.ts';
import type { Bucket, BucketObject, BucketPage, BucketPlace } from '../bucket.ts';
import type { ByteRange } from '../port.ts';
import { repeater, type RetryPolicy } from '../retrying.ts';
import { copyObject, isVersioned, putBytes, uploadParts } from './bucket-write.ts';
import { createClient } from './client.ts';
import { nameOf, s3Error, statusOf } from './errors.ts';
import { collect } from './store.ts';

/** Errors: `usage`, `file-unreadable` (CA); the server is asked at the first operation. */
export async function openS3Bucket(place: BucketPlace, retry?: RetryPolicy): Promise<Bucket> {
  const { endpoint, bucket } = place;
  const location = `s3:${endpoint ?? '/'}/${bucket}`;
  const client = await createClient({ ...place, prefix: '' });
  const { repeat } = repeater(retry);

  const asking = async <T>(action: string, permission: string, ask: () => Promise<T>): Promise<T> =>
    await repeat(() =>
      ask().catch((error: unknown) => {
        throw ofMedia(s3Error(error, { location, action, permission }), location);
      }),
    );

  const page = async (prefix: string, after: string): Promise<BucketPage> => {
    const found = await asking(`list ${prefix}`, 's3:ListBucket', () =>
      listPage(client, bucket, prefix, after),
    );
    requireOrdered(found.objects, after, location);
    return found;
  };

  return {
    location,
    page,
    list: async function* (prefix, after = '') {
      for (let from = after; ;) {
        const { objects, more } = await page(prefix, from);
        yield* objects;
        if (!more) return;
        from = objects.at(-1)!.key;
      }
    },
    head: async (key) =>
      await asking(`look at ${key}`, 's3:GetObject', () => headObject(client, bucket, key)),
    get: async (key, options = {}) =>
      await asking(`read ${key}`, 's3:GetObject', () => getObject(client, bucket, key, options)),
    put: async (key, content) =>
      await asking(`write ${key}`, 's3:PutObject', () =>
        putBytes({ client, Bucket: bucket, Key: key }, content),
      ),
    // Its parts are tried again each; the content can be read once only.
    upload: async (key, sizeBytes, content) =>
      await uploadParts({ client, Bucket: bucket, Key: key }, sizeBytes, content, (ask) =>
        asking(`write ${key}`, 's3:PutObject', ask),
      ),
    copy: async (from, key) =>
      await asking(`copy ${from.key} to ${key}`, 's3:GetObject and s3:PutObject', () =>
        copyObject({ client, Bucket: bucket, Key: key }, from),
      ),
    versioning: async () => await asking('look', 's3:GetBucketVersioning', () => isVersioned(client, bucket)),
    close: () => client.destroy(),
  };
}

/** The messages of a store speak of the repository. */
function ofMedia(error: unknown, location: string): unknown {
  if (!isLifeboatError(error, 'repository-missing')) return error;
  return new LifeboatError('media-unreadable', `there is no bucket ${location}`, {
    hint: 'Correct media_storage_providers of the homeserver, or name the bucket in lifeboat.yaml as media.s3.bucket.',
    cause: error,
  });
}

async function listPage(
  client: S3Client,
  Bucket: string,
  Prefix: string,
  StartAfter: string,
): Promise<BucketPage> {
  for (let start = StartAfter; ;) {
    const answer = await client.send(
      new ListObjectsV2Command({ Bucket, Prefix, ...(start === '' ? {} : { StartAfter: start }) }),
    );
    const contents = answer.Contents ?? [];
    const more = answer.IsTruncated === true;
    // A folder that somebody made with another tool is an object whose key ends in a slash.
    const objects = contents
      .filter(({ Key = '' }) => Key.startsWith(Prefix) && !Key.endsWith('/'))
      .map(({ Key = '', Size = 0, ETag = '', LastModified }) => ({
        key: Key,
        sizeBytes: Size,
        etag: ETag,
        modified: LastModified ?? new Date(0),
      }));
    if (objects.length > 0 || !more) return { objects, more };
    const last = contents.at(-1)?.Key;
    if (last === undefined || last === start)
      throw new LifeboatError('store-unreachable', `${Bucket} cut a listing short without saying where`);
    start = last;
  }
}

/** What is merged with the database by order would otherwise be taken for missing. S3 Express lists without order. */
function requireOrdered(objects: readonly BucketObject[], after: string, location: string): void {
  let last = Buffer.from(after);
  for (const { key } of objects) {
    const next = Buffer.from(key);
    if (Buffer.compare(last, next) >= 0)
      throw new LifeboatError(
        'media-unreadable',
        `${location} lists ${key} after ${last.toString()}: not in the order of their keys`,
        { hint: 'Use a bucket that lists in order; directory buckets (S3 Express) do not.' },
      );
    last = next;
  }
}

async function headObject(client: S3Client, Bucket: string, Key: string): Promise<BucketObject | undefined> {
  try {
    return describe(Key, await client.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' })));
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

function describe(key: string, head: HeadObjectCommandOutput): BucketObject {
  const { ContentLength, ETag = '', LastModified, VersionId, ChecksumSHA256, ChecksumType } = head;
  // That of an object in parts is one of the parts' checksums, and ends in their number.
  const whole = ChecksumSHA256 !== undefined && ChecksumType !== 'COMPOSITE' && !ChecksumSHA256.includes('-');
  return {
    key,
    sizeBytes: ContentLength ?? 0,
    etag: ETag,
    modified: LastModified ?? new Date(0),
    ...(VersionId === undefined || VersionId === 'null' ? {} : { versionId: VersionId }),
    ...(whole ? { sha256: Buffer.from(ChecksumSHA256, 'base64').toString('hex') } : {}),
  };
}

async function getObject(
  client: S3Client,
  Bucket: string,
  Key: string,
  {
    range,
    etag,
    versionId,
  }: { readonly range?: ByteRange; readonly etag?: string; readonly versionId?: string },
): Promise<Uint8Array | 'changed' | undefined> {
  try {
    const answer = await client.send(
      new GetObjectCommand({
        Bucket,
        Key,
        ...(range && { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }),
        ...(etag !== undefined && etag !== '' && { IfMatch: etag }),
        ...(versionId !== undefined && { VersionId: versionId }),
      }),
    );
    const bytes = await collect(answer.Body as Readable, answer.ContentLength);
    if (range === undefined || answer.$metadata.httpStatusCode === 206) return bytes;
    return bytes.subarray(range.offset, range.offset + range.length);
  } catch (error) {
    if (statusOf(error) === 412 || statusOf(error) === 416) return 'changed';
    if (['NoSuchKey', 'NoSuchVersion'].includes(nameOf(error))) return undefined;
    throw error;
  }
}
