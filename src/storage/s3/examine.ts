import {
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type ObjectLockConfiguration,
} from '@aws-sdk/client-s3';
import type { StoreFeatures } from '../port.ts';
import { statusOf } from './errors.ts';
import type { S3StoreOptions } from './client.ts';
import type { Place } from './locks.ts';
import { putCommand } from './put.ts';

const DAYS_A_YEAR = 365;

/** Asks the bucket, and sends an object whose bytes are not those that were signed: a line that damages does the same. */
export async function examineBucket(
  { client, Bucket, Key }: Place,
  options: Pick<S3StoreOptions, 'checksums'>,
): Promise<StoreFeatures> {
  const lock = await ifAllowed(() => client.send(new GetObjectLockConfigurationCommand({ Bucket })));
  const versioning = await ifAllowed(() => client.send(new GetBucketVersioningCommand({ Bucket })));
  const [signed, damaged] = [Buffer.from('as it was sent'), Buffer.from('as it came in ')];
  const command = putCommand({ Bucket, Key }, signed, options);
  command.input.Body = damaged;
  const taken = await client.send(command).then(
    () => true,
    (error: unknown) => {
      if (statusOf(error) === 400) return false;
      throw error;
    },
  );
  return {
    checksums: !taken,
    versioning: versioning === 'denied' ? undefined : versioning?.Status === 'Enabled',
    ...lockOf(lock === 'denied' ? lock : lock?.ObjectLockConfiguration),
  };
}

function lockOf(
  configuration: ObjectLockConfiguration | 'denied' | undefined,
): Pick<StoreFeatures, 'objectLock' | 'defaultLockDays'> {
  if (configuration === 'denied') return { objectLock: 'unknown', defaultLockDays: undefined };
  const { Days, Years } = configuration?.Rule?.DefaultRetention ?? {};
  return {
    objectLock: configuration?.ObjectLockEnabled === 'Enabled' ? 'on' : 'off',
    defaultLockDays: Days ?? (Years === undefined ? undefined : Years * DAYS_A_YEAR),
  };
}

/** Undefined of a bucket that has no such configuration, or of a server that does not know it. */
async function ifAllowed<Answer>(ask: () => Promise<Answer>): Promise<Answer | 'denied' | undefined> {
  try {
    return await ask();
  } catch (error) {
    const status = statusOf(error);
    if (status === 403) return 'denied';
    if (status !== undefined && (status < 500 || status === 501)) return undefined;
    throw error;
  }
}
