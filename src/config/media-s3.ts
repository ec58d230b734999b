import type { Secret } from '../core/secret.ts';
import { secret } from './store.ts';
import { z } from './zod.ts';

/** How a server is reached. */
interface S3Access {
  readonly region: string | undefined;
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: Secret | undefined;
  readonly pathStyle: boolean | undefined;
  readonly caFile: string | undefined;
}

/** `media.s3` of lifeboat.yaml: what differs from the homeserver's own storage provider. */
export interface MediaS3Settings extends S3Access {
  readonly ignore: boolean;
  readonly bucket: string | undefined;
  readonly prefix: string | undefined;
  readonly endpoint: string | undefined;
}

/** `media.s3_sync` of lifeboat.yaml: where the copies go. */
export interface S3SyncSettings extends S3Access {
  /** `s3:https://HOST/BUCKET/PREFIX` or `s3://BUCKET/PREFIX` */
  readonly place: string;
}

const access = {
  region: z.string().optional().describe('Region. Default: AWS_REGION, else us-east-1.'),
  access_key_id: z
    .string()
    .optional()
    .describe('Access key; or AWS_ACCESS_KEY_ID, or what else the AWS SDK finds.'),
  secret_access_key: secret
    .optional()
    .describe('Secret key: text with ${ENV}, {file: path} or {env: NAME}; or AWS_SECRET_ACCESS_KEY.'),
  path_style: z
    .boolean()
    .optional()
    .describe('Bucket in the path instead of the host name. Default: true with an endpoint.'),
  ca_file: z
    .string()
    .min(1)
    .optional()
    .describe('Certificate authority of the server, where the system has it not.'),
};

export const s3SyncSchema = z.strictObject({
  place: z
    .string()
    .regex(/^s3:/, 'must be s3:https://HOST/BUCKET/PREFIX or s3://BUCKET/PREFIX')
    .describe('Bucket to copy to, in clear: s3:https://HOST/BUCKET/PREFIX or s3://BUCKET/PREFIX.'),
  ...access,
});

export const mediaS3Schema = z
  .strictObject({
    ignore: z
      .boolean()
      .default(false)
      .describe('Leave the bucket of media_storage_providers alone; what lies only there is not backed up.'),
    bucket: z
      .string()
      .min(1)
      .optional()
      .describe('Bucket. Default: as synapse-s3-storage-provider has it; so for all that follow.'),
    prefix: z
      .string()
      .optional()
      .describe('What every key begins with before the path, with its slash if there is one.'),
    endpoint: z
      .string()
      .regex(/^https?:\/\/[^/?#@]+\/?$/, 'must be https://HOST')
      .optional()
      .describe('https://HOST of the server, where it is not that of AWS.'),
    ...access,
  })
  .prefault({})
  .describe('Bucket in which a storage provider of the homeserver keeps media.');

/** Paths and secrets resolved by the caller. */
export function toMediaS3(
  file: z.output<typeof mediaS3Schema>,
  secretAccessKey: Secret | undefined,
  at: (path: string) => string,
): MediaS3Settings {
  return {
    ignore: file.ignore,
    bucket: file.bucket,
    prefix: file.prefix,
    endpoint: file.endpoint,
    ...toAccess(file, secretAccessKey, at),
  };
}

/** The same of `media.s3_sync`. */
export function toS3Sync(
  file: z.output<typeof s3SyncSchema> | undefined,
  secretAccessKey: Secret | undefined,
  at: (path: string) => string,
): S3SyncSettings | undefined {
  return file && { place: file.place, ...toAccess(file, secretAccessKey, at) };
}

function toAccess(
  file: Omit<z.output<typeof s3SyncSchema>, 'place'>,
  secretAccessKey: Secret | undefined,
  at: (path: string) => string,
): S3Access {
  return {
    region: file.region,
    accessKeyId: file.access_key_id,
    secretAccessKey,
    pathStyle: file.path_style,
    caFile: file.ca_file === undefined ? undefined : at(file.ca_file),
  };
}
