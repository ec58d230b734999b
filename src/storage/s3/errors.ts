import { LifeboatError, messageOf, type ErrorCode } from '../../core/errors.ts';

/** What was asked for when it failed. */
export interface S3Request {
  readonly location: string;
  /** As messages put it: `write packs/ab/....age`. */
  readonly action: string;
  /** What an access key needs for it. */
  readonly permission: string;
}

/** The parts of the SDK's errors that are looked at. */
interface Failure extends Error {
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
}

/** S3's names of what is wrong with the credentials; other servers have taken them over. */
const CREDENTIALS: Readonly<Record<string, string>> = {
  InvalidAccessKeyId: 'the access key is not known',
  SignatureDoesNotMatch: 'the secret key is wrong',
  AuthorizationHeaderMalformed: 'the region is wrong',
  InvalidToken: 'the session token is not valid',
  ExpiredToken: 'the credentials have expired',
  ExpiredTokenException: 'the credentials have expired',
  TokenRefreshRequired: 'the credentials have expired',
};
const FULL = new Set(['QuotaExceeded', 'InsufficientStorage', 'XMinioStorageFull', 'StorageFull']);
/** Status 400, but only for now. */
const PASSING = new Set([
  'RequestTimeout',
  'IncompleteBody',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
]);
const CLOCK = new Set(['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture']);
const CERTIFICATE =
  /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO$|HOSTNAME_MISMATCH$)/;

export function statusOf(error: unknown): number | undefined {
  const failure = error as Failure | undefined;
  return failure?.$metadata?.httpStatusCode ?? failure?.$response?.statusCode;
}

/** S3's name of the error, such as `AccessDenied`. */
export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** AWS and versitygw say AccessDenied of an object under Object Lock, MinIO InvalidRequest; all use one of these words. */
export function isLockRefusal(error: unknown): boolean {
  const status = statusOf(error);
  return (
    (status === 403 || status === 400) && /worm|object.?lock|retention|legal hold/i.test(messageOf(error))
  );
}

/** No answer came, or only a part of one. */
export function isConnectionFailure(error: unknown): boolean {
  return statusOf(error) === undefined && !CERTIFICATE.test((error as Failure).code ?? '');
}

/** What `error` means for whoever has to mend it. Errors that are not the SDK's are passed on as they are. */
export function s3Error(error: unknown, request: S3Request): unknown {
  if (!(error instanceof Error) || error instanceof LifeboatError || error instanceof RangeError)
    return error;
  const { name } = error;
  const status = statusOf(error);
  const say = (code: ErrorCode, problem: string, hint?: string): LifeboatError =>
    new LifeboatError(
      code,
      `cannot ${request.action} ${preposition(request.action)} ${request.location}: ${problem}`,
      {
        cause: error,
        context: { reason: name, ...(status === undefined ? {} : { status }) },
        ...(hint === undefined ? {} : { hint }),
      },
    );

  if (name === 'CredentialsProviderError')
    return say(
      'store-denied',
      'no credentials were found',
      'Give s3.access_key_id and s3.secret_access_key in lifeboat.yaml, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
    );
  if (status === undefined) return unanswered(error, say);
  if (CLOCK.has(name))
    return say(
      'store-denied',
      `the clocks differ: ${clocks(error)} (${name})`,
      'Set the clock of this host, best by NTP.',
    );
  const wrong = CREDENTIALS[name];
  if (wrong !== undefined)
    return say('store-denied', `${wrong} (${name})`, 'Correct the credentials, or the region, of the store.');
  if (name === 'NoSuchBucket')
    return say(
      'repository-missing',
      'there is no such bucket',
      'Make the bucket, or correct repository.path.',
    );
  if (name === 'PermanentRedirect' || status === 301) {
    const region = (error as Failure).$response?.headers?.['x-amz-bucket-region'];
    return say(
      'store-denied',
      `the bucket is in ${region === undefined ? 'another region' : `the region ${region}`}`,
      'Set s3.region in lifeboat.yaml, or AWS_REGION.',
    );
  }
  if (FULL.has(name) || status === 507)
    return say('disk-full', `no room is left (${name})`, 'Raise the quota of the bucket, or prune.');
  if (status >= 500 && status !== 501)
    return say('store-unreachable', `the server answered ${status} ${name}`);
  if (status === 408 || status === 409 || status === 429 || PASSING.has(name))
    return say('store-unreachable', `the server answered ${status} ${name}`);
  if (status === 401 || status === 403)
    return say(
      'store-denied',
      `access was denied (${name})`,
      `Allow ${request.permission} to this access key, if it is meant to have it.`,
    );
  return say('store-denied', `the server answered ${status} ${name}: ${messageOf(error)}`);
}

type Say = (code: ErrorCode, problem: string, hint?: string) => LifeboatError;

function unanswered(error: Failure, say: Say): LifeboatError {
  const code = error.code ?? '';
  if (CERTIFICATE.test(code))
    return say(
      'store-denied',
      `its certificate is not trusted: ${messageOf(error)} (${code})`,
      'Name the certificate authority of the server by s3.ca_file.',
    );
  if (error.name === 'TimeoutError')
    return say('store-unreachable', 'nothing moved for a long time', 'Look at the network and the server.');
  return say(
    'store-unreachable',
    `${messageOf(error)}${code === '' ? '' : ` (${code})`}`,
    'Look at the address, the network and the server.',
  );
}

function clocks(error: Failure): string {
  const date = error.$response?.headers?.['date'];
  const theirs = date === undefined ? Number.NaN : Date.parse(date);
  if (Number.isNaN(theirs)) return 'that of the server and that of this host';
  const minutes = Math.round((Date.now() - theirs) / 60_000);
  return `that of this host is ${Math.abs(minutes)} minutes ${minutes < 0 ? 'behind' : 'ahead'}`;
}

function preposition(action: string): string {
  return /^(?:read|list|look)/.test(action) ? 'from' : 'at';
}
