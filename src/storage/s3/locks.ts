import {
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectRetentionCommand,
  type HeadObjectCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { LifeboatError } from '../../core/errors.ts';
import type { ObjectLock } from './client.ts';
import { isLockRefusal, statusOf } from './errors.ts';
import { lockMode, retainUntil } from './put.ts';

export interface Place {
  readonly client: S3Client;
  readonly Bucket: string;
  readonly Key: string;
  /** Without the prefix of the store. */
  readonly key: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** A snapshot leans on nothing that could be deleted before so many days, unless everything is protected for less. */
const LEAST_LEFT_DAYS = 14;
const AT_ONCE = 16;

/**
 * In a bucket with versions, a plain delete removes nothing: it puts a marker over the object, also over one that is locked.
 * Where the store locks its objects, the version itself is deleted, and the marker is never made. Errors: `object-locked`.
 */
export async function deleteObject(place: Place, locking: boolean): Promise<void> {
  const { client, Bucket, Key } = place;
  if (!locking) return await deleteVersion(place, undefined, undefined);
  const head = await headOf({ client, Bucket, Key });
  if (head === undefined) return;
  const until = head.ObjectLockRetainUntilDate;
  if (head.ObjectLockLegalHoldStatus === 'ON' || (until !== undefined && until.getTime() > Date.now()))
    throw locked(place, until);
  await deleteVersion(place, head.VersionId, until);
}

/** The version too, where these credentials may; otherwise the delete hides it, as ever. Errors: `object-locked`. */
export async function eraseObject(place: Place): Promise<void> {
  try {
    await deleteObject(place, true);
  } catch (error) {
    if (statusOf(error) !== 403) throw error;
    await deleteObject(place, false);
  }
}

async function deleteVersion(
  place: Place,
  VersionId: string | undefined,
  until: Date | undefined,
): Promise<void> {
  const { client, Bucket, Key } = place;
  try {
    await client.send(new DeleteObjectCommand({ Bucket, Key, ...(VersionId && { VersionId }) }));
  } catch (error) {
    if (isLockRefusal(error)) throw locked(place, until, error);
    if (statusOf(error) !== 404 || (error as Error).name === 'NoSuchBucket') throw error;
  }
}

/** Resolves to how many of the objects had so little time left that they were given more. */
export async function extendProtection(places: readonly Place[], lock: ObjectLock): Promise<number> {
  const until = retainUntil(lock.days);
  const least = Date.now() + Math.min(LEAST_LEFT_DAYS, lock.days / 2) * DAY_MS;
  let extended = 0;
  const waiting = [...places];
  const work = async (): Promise<void> => {
    for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
      const head = await headOf(place);
      if (head === undefined || (head.ObjectLockRetainUntilDate?.getTime() ?? 0) >= least) continue;
      const { client, Bucket, Key } = place;
      const Retention = { Mode: lockMode(lock), RetainUntilDate: until };
      await client.send(
        new PutObjectRetentionCommand({
          Bucket,
          Key,
          Retention,
          ...(head.VersionId && { VersionId: head.VersionId }),
        }),
      );
      extended += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return extended;
}

async function headOf({
  client,
  Bucket,
  Key,
}: Omit<Place, 'key'>): Promise<HeadObjectCommandOutput | undefined> {
  return await client.send(new HeadObjectCommand({ Bucket, Key })).catch((error: unknown) => {
    if (statusOf(error) === 404) return undefined;
    throw error;
  });
}

function locked({ key }: Place, until: Date | undefined, cause?: unknown): LifeboatError {
  const term = until === undefined ? '' : ` until ${until.toISOString()}`;
  return new LifeboatError('object-locked', `object ${key} is protected by Object Lock${term}`, {
    cause,
    hint: 'It can be deleted afterwards: the next prune tries again.',
    context: { key, ...(until && { until: until.toISOString() }) },
  });
}
