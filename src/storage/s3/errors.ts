import { S3ServiceException } from '@aws-sdk/client-s3';
import { LifeboatError, messageOf, type ErrorCode, type ErrorOptions } from '../../core/errors.ts';

/** What an operation was about, for messages. */
export interface Asked {
  readonly operation: 'put' | 'get' | 'stat' | 'list' | 'delete';
  readonly key: string;
  readonly location: string;
}

type Kind = readonly [code: ErrorCode, problem: string, hint: string];

/** Names of errors: Amazon S3 API reference, "Error responses"; others use the same. */
const KNOWN: Readonly<Record<string, Kind>> = {
  NoSuchBucket: [
    'repository-missing',
    'there is no such bucket',
    'Make the bucket, or correct repository.path.',
  ],
  InvalidAccessKeyId: ['store-denied', 'the access key is not known', 'Check repository.s3.access_key_id.'],
  SignatureDoesNotMatch: [
    'store-denied',
    'the secret key is wrong',
    'Check repository.s3.secret_access_key.',
  ],
  ExpiredToken: ['store-denied', 'the credentials have expired', 'Get new ones, and run the command again.'],
  TokenRefreshRequired: [
    'store-denied',
    'the credentials have expired',
    'Get new ones, and run the command again.',
  ],
  RequestTimeTooSkewed: [
    'store-denied',
    'the clock of this machine differs too much from the server’s',
    'Set the clock of this machine: timedatectl set-ntp true.',
  ],
  AuthorizationHeaderMalformed: ['store-denied', 'the region is wrong', 'Set repository.s3.region.'],
  PermanentRedirect: ['store-denied', 'the bucket is in another region', 'Set repository.s3.region.'],
};

/** S3 names of what each operation needs. */
const PERMISSION: Readonly<Record<Asked['operation'], string>> = {
  put: 's3:PutObject',
  get: 's3:GetObject',
  stat: 's3:GetObject',
  list: 's3:ListBucket',
  delete: 's3:DeleteObject',
};
/** AWS and versitygw say AccessDenied for an object under Object Lock, MinIO InvalidRequest with these words. */
const LOCKED = /worm|object.?lock|retention|legal hold/i;

/** As the port's errors; transient ones are those that another attempt may not meet. */
export function s3Error(error: unknown, asked: Asked): LifeboatError {
  if (error instanceof LifeboatError) return error;
  const about = `${asked.operation} ${asked.key} in ${asked.location}`;
  const options = (hint: string): ErrorOptions => ({ hint, cause: error, context: { key: asked.key } });
  const name = error instanceof Error ? error.name : '';
  const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
  const known = KNOWN[name];
  if (known !== undefined)
    return new LifeboatError(known[0], `cannot ${about}: ${known[1]}`, options(known[2]));
  if (name === 'CredentialsProviderError')
    return new LifeboatError(
      'store-denied',
      `cannot ${about}: there are no credentials`,
      options('Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or repository.s3 in lifeboat.yaml.'),
    );
  if (LOCKED.test(messageOf(error)) && asked.operation === 'delete')
    return new LifeboatError(
      'store-denied',
      `cannot ${about}: it is protected`,
      options('It can be deleted when its retention is over.'),
    );
  if (status === 403 || name === 'AccessDenied')
    return new LifeboatError(
      'store-denied',
      `cannot ${about}: access denied`,
      options(
        `The credentials need ${PERMISSION[asked.operation]} here; or the object is protected by Object Lock.`,
      ),
    );
  if (status === 404 || name === 'NoSuchKey' || name === 'NotFound')
    return new LifeboatError(
      'object-missing',
      `object ${asked.key} is missing in ${asked.location}`,
      options('Run `lifeboat check`.'),
    );
  if (status === 507 || name === 'QuotaExceeded' || name === 'EntityTooLarge')
    return new LifeboatError(
      'disk-full',
      `cannot ${about}: ${messageOf(error)}`,
      options('Free space on the server.'),
    );
  // 409: another conditional request for the key is under way; 5xx, 429, time-outs, resets and cut answers.
  if (status === undefined || status >= 500 || status === 429 || status === 408 || status === 409)
    return new LifeboatError(
      'store-unreachable',
      `cannot ${about}: ${describe(error, name)}`,
      options('Check the address, the network and the server.'),
    );
  return new LifeboatError(
    'store-denied',
    `cannot ${about}: ${describe(error, name)}`,
    options('See what the server logs about it.'),
  );
}

function describe(error: unknown, name: string): string {
  const code = (error as { code?: string } | null)?.code;
  const message = messageOf(error) || code || name;
  return message.startsWith(name) || name === 'Error' ? message : `${name}: ${message}`;
}
