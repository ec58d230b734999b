import { readFile } from 'node:fs/promises';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';

/** Where the bucket is, and how its server is talked to. */
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
  /** Of credentials that end. */
  readonly sessionToken?: Secret | undefined;
  readonly pathStyle?: boolean | undefined;
  readonly caFile?: string | undefined;
  readonly checksums?: 'required' | 'supported' | undefined;
  readonly objectLock?: ObjectLock | undefined;
  /** Where the bucket keeps versions, a delete removes the version instead of hiding it: for what only a probe wrote. */
  readonly deleteVersions?: boolean | undefined;
  /** A connection on which nothing moves for so long is given up. Default: a minute. */
  readonly stallMs?: number | undefined;
}

export interface ObjectLock {
  readonly mode: 'governance' | 'compliance';
  readonly days: number;
}

const STALL_MS = 60_000;
const CONNECT_MS = 20_000;
/** Operations under way at once: those of a backup, a check or a restore, and some of a prune. */
const MOST_SOCKETS = 64;

/** Without retries of its own: `retrying.ts` does that for all stores alike. Errors: `file-unreadable`, `usage`. */
export async function createClient(options: S3StoreOptions): Promise<S3Client> {
  const { endpoint, region } = options;
  const secureContext = await trusting(options.caFile ?? process.env['AWS_CA_BUNDLE']);
  const config: S3ClientConfig = {
    region: region ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
    forcePathStyle: options.pathStyle ?? endpoint !== undefined,
    maxAttempts: 1,
    // Objects carry a SHA-256 of our own making; the SDK's CRC trailers are what other people's servers stumble over.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // It would open a connection for each large object, and wait six seconds for servers that do not know it.
    expectContinueHeader: false,
    // A wrong clock is told, not got used to: snapshots would carry the wrong time.
    disableClockSkewCorrection: true,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: options.stallMs ?? STALL_MS,
      httpAgent: { keepAlive: true, maxSockets: MOST_SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: MOST_SOCKETS, ...secureContext },
    },
  };
  const credentials = credentialsOf(options);
  return new S3Client({
    ...config,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
  });
}

/** Undefined: the SDK looks where AWS's own tools look (environment, ~/.aws, the machine's role). */
function credentialsOf({ accessKeyId, secretAccessKey, sessionToken }: S3StoreOptions) {
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  if (accessKeyId !== undefined && secretAccessKey !== undefined)
    return {
      accessKeyId,
      secretAccessKey: secretAccessKey.reveal(),
      ...(sessionToken && { sessionToken: sessionToken.reveal() }),
    };
  const [given, missing] =
    accessKeyId === undefined
      ? ['secret_access_key', 'access_key_id']
      : ['access_key_id', 'secret_access_key'];
  throw new LifeboatError('usage', `s3.${given} is given without s3.${missing}`, {
    hint: 'Give both, or neither: then AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and ~/.aws are asked.',
  });
}

/** Those of the system and this one. Made once: as a list they would be parsed for every connection, 15 ms each. */
async function trusting(file: string | undefined): Promise<{ readonly secureContext?: SecureContext }> {
  if (file === undefined) return {};
  try {
    const own = await readFile(file, 'utf8');
    return { secureContext: createSecureContext({ ca: [...getCACertificates('default'), own] }) };
  } catch (error) {
    throw new LifeboatError(
      'file-unreadable',
      `cannot read the certificate authority ${file}: ${messageOf(error)}`,
      {
        hint: 'Correct repository.s3.ca_file, or AWS_CA_BUNDLE: it must be PEM.',
        cause: error,
        context: { file },
      },
    );
  }
}
