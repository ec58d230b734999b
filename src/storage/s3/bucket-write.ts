import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetBucketVersioningCommand,
  UploadPartCommand,
  type CompletedPart,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { BucketObject, WrittenObject } from '../bucket.ts';
import { nameOf, statusOf } from './errors.ts';
import { putCommand } from './put.ts';

export interface ObjectPlace {
  readonly client: S3Client;
  readonly Bucket: string;
  readonly Key: string;
}

const MIB = 1024 * 1024;
/** S3 takes 10,000 parts, each but the last of 5 MiB or more. */
const PART_BYTES = 8 * MIB;
const MOST_PARTS = 9000;

export async function putBytes(at: ObjectPlace, content: Uint8Array): Promise<WrittenObject | 'exists'> {
  try {
    const { ETag, VersionId } = await at.client.send(putCommand(at, content, {}));
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { ...written(ETag, VersionId), sha256 };
  } catch (error) {
    if (statusOf(error) === 412) return 'exists';
    throw error;
  }
}

/** Holds one part in memory. `asking` tries again what failed for the moment. */
export async function uploadParts(
  { client, Bucket, Key }: ObjectPlace,
  sizeBytes: number,
  content: AsyncIterable<Uint8Array>,
  asking: <T>(ask: () => Promise<T>) => Promise<T>,
): Promise<WrittenObject | 'exists'> {
  const hash = createHash('sha256');
  const { UploadId } = await asking(() =>
    client.send(new CreateMultipartUploadCommand({ Bucket, Key, ChecksumAlgorithm: 'SHA256' })),
  );
  try {
    const Parts: CompletedPart[] = [];
    for await (const Body of partsOf(content, partBytes(sizeBytes))) {
      hash.update(Body);
      const ChecksumSHA256 = createHash('sha256').update(Body).digest('base64');
      const part = { PartNumber: Parts.length + 1, ChecksumSHA256 };
      const { ETag } = await asking(() =>
        client.send(new UploadPartCommand({ Bucket, Key, UploadId, Body, ...part })),
      );
      Parts.push({ ...part, ETag });
    }
    const { ETag, VersionId } = await asking(() =>
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket,
          Key,
          UploadId,
          MultipartUpload: { Parts },
          IfNoneMatch: '*',
        }),
      ),
    );
    return { ...written(ETag, VersionId), sha256: hash.digest('hex') };
  } catch (error) {
    // Parts that are not put together cost money for ever.
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => undefined);
    const cause = (error as Error).cause;
    if (statusOf(error) === 412 || statusOf(cause) === 412) return 'exists';
    throw error;
  }
}

/** Bytes of a part, so that an object of this size has not too many. */
function partBytes(sizeBytes: number): number {
  return Math.max(PART_BYTES, Math.ceil(sizeBytes / MOST_PARTS / MIB) * MIB);
}

async function* partsOf(content: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let [waiting, length]: [Uint8Array[], number] = [[], 0];
  for await (const piece of content) {
    waiting.push(piece);
    length += piece.length;
    if (length < size) continue;
    yield Buffer.concat(waiting, length);
    [waiting, length] = [[], 0];
  }
  if (length > 0) yield Buffer.concat(waiting, length);
}

export async function copyObject(
  { client, Bucket, Key }: ObjectPlace,
  from: { readonly bucket: string } & Pick<BucketObject, 'key' | 'etag'>,
): Promise<WrittenObject | 'changed' | undefined> {
  try {
    const { CopyObjectResult, VersionId } = await client.send(
      new CopyObjectCommand({
        Bucket,
        Key,
        CopySource: `${from.bucket}/${from.key.split('/').map(encodeURIComponent).join('/')}`,
        CopySourceIfMatch: from.etag,
        // The server reads it anyway, and tells what it has read.
        ChecksumAlgorithm: 'SHA256',
      }),
    );
    const { ETag, ChecksumSHA256, ChecksumType } = CopyObjectResult ?? {};
    const whole =
      ChecksumSHA256 !== undefined && ChecksumType !== 'COMPOSITE' && !ChecksumSHA256.includes('-');
    return {
      ...written(ETag, VersionId),
      ...(whole ? { sha256: Buffer.from(ChecksumSHA256, 'base64').toString('hex') } : {}),
    };
  } catch (error) {
    if (statusOf(error) === 412) return 'changed';
    if (nameOf(error) === 'NoSuchKey') return undefined;
    throw error;
  }
}

export async function isVersioned(client: S3Client, Bucket: string): Promise<boolean | undefined> {
  try {
    return (await client.send(new GetBucketVersioningCommand({ Bucket }))).Status === 'Enabled';
  } catch (error) {
    if (statusOf(error) === 403 && nameOf(error) === 'AccessDenied') return undefined;
    if (statusOf(error) === 501) return false;
    throw error;
  }
}

function written(etag: string | undefined, versionId: string | undefined): WrittenObject {
  return {
    etag: etag ?? '',
    ...(versionId === undefined || versionId === 'null' ? {} : { versionId }),
  };
}
