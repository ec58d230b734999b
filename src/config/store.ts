import { resolve } from 'node:path';
import type { Secret } from '../core/secret.ts';
import { parseBytes, parseDuration } from '../core/units.ts';
import { z } from './zod.ts';

/** Where a store lies, and how it is reached: `repository` of lifeboat.yaml is one, and each of its `copies`. */
export interface StorePlace {
  /** An absolute directory, `s3:https://host/bucket/prefix`, `s3://bucket/prefix`, or `sftp:user@host:/path`. */
  readonly path: string;
  readonly s3?: S3Settings | undefined;
  readonly sftp?: SftpSettings | undefined;
  /** Bytes a second, on average; undefined: as fast as it goes. */
  readonly uploadLimit?: number | undefined;
  readonly downloadLimit?: number | undefined;
}

export interface S3Settings {
  readonly region: string | undefined;
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: Secret | undefined;
  readonly pathStyle: boolean | undefined;
  readonly caFile: string | undefined;
  readonly checksums: 'required' | 'supported' | undefined;
  readonly objectLock: { readonly mode: 'governance' | 'compliance'; readonly days: number } | undefined;
}

export interface SftpSettings {
  readonly identityFile: string | undefined;
  readonly knownHostsFile: string | undefined;
  readonly options: readonly string[];
}

/** A second place of the same repository, brought up to date after every backup. */
export interface CopyPlace extends StorePlace {
  readonly name: string;
}

const path = z.string().min(1);
/** A secret: in a file, in an environment variable, or (interpolated) in place. */
export const secret = z.union([
  z.string(),
  z.strictObject({ file: path }),
  z.strictObject({ env: z.string().min(1) }),
]);
export const duration = z
  .string()
  .refine((text) => parseDuration(text) !== undefined, 'must be a duration such as 90s, 15m or 2h')
  .transform((text) => parseDuration(text) ?? 0);
export const rate = z
  .string()
  .refine((text) => parseBytes(text) !== undefined, 'must be a size such as 500KiB or 10MiB, a second')
  .transform((text) => parseBytes(text) ?? 0);

export const sshSchema = z.strictObject({
  identity_file: path.optional().describe('Key of ssh, where ~/.ssh/config does not name it.'),
  known_hosts_file: path.optional().describe('Host keys, where ~/.ssh/known_hosts does not have them.'),
  options: z.array(z.string()).default([]).describe('Further -o options of ssh, such as ProxyJump=gate.'),
});

export const storeShape = {
  path: path.describe(
    'Directory, s3:https://HOST/BUCKET/PREFIX, s3://BUCKET/PREFIX, or sftp:USER@HOST:/PATH (docs/stores.md).',
  ),
  s3: z
    .strictObject({
      region: z.string().optional().describe('Region. Default: AWS_REGION, else us-east-1.'),
      access_key_id: z
        .string()
        .optional()
        .describe('Access key. Default: AWS_ACCESS_KEY_ID, or what else the AWS SDK finds.'),
      secret_access_key: secret
        .optional()
        .describe(
          'Secret key: text with ${ENV}, {file: path} or {env: NAME}. Default: AWS_SECRET_ACCESS_KEY.',
        ),
      path_style: z
        .boolean()
        .optional()
        .describe('Bucket in the path instead of the host name. Default: true where the path names a host.'),
      ca_file: path.optional().describe('Certificate authority of the server, where the system has it not.'),
      checksums: z
        .enum(['required', 'supported'])
        .optional()
        .describe(
          '`required` sends checksums only where S3 demands them: for servers that refuse newer ones.',
        ),
      object_lock: z
        .strictObject({
          mode: z
            .enum(['governance', 'compliance'])
            .describe('Who may shorten the protection: governance some, compliance nobody.'),
          days: z.int().min(1).max(36_500).describe('How long what is written cannot be deleted.'),
        })
        .optional()
        .describe('Protection from deletion, where the bucket has Object Lock.'),
    })
    .optional()
    .describe('How to reach an S3 server.'),
  sftp: sshSchema.optional().describe('How to reach an SFTP server.'),
  limit_upload: rate.optional().describe('At most so much a second is written, on average: 10MiB.'),
  limit_download: rate.optional().describe('At most so much a second is read, on average.'),
};

export const copySchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens')
    .describe('What messages and --copy call it.'),
  ...storeShape,
});

type StoreFile = Omit<z.output<typeof copySchema>, 'name'>;
export type SecretReference = z.output<typeof secret>;

/** Is it a directory of this machine, and not the address of a server? */
function isDirectory(place: string): boolean {
  return !/^(?:s3|sftp):/.test(place);
}

export function resolvePlace(base: string, place: string): string {
  return isDirectory(place) ? resolve(base, place) : place;
}

/** `readSecret` gives the secret that a reference names. */
export async function toStorePlace(
  file: StoreFile,
  base: string,
  readSecret: (given: SecretReference | undefined) => Promise<Secret | undefined>,
): Promise<StorePlace> {
  const maybe = (given: string | undefined) => (given === undefined ? undefined : resolve(base, given));
  const { s3, sftp } = file;
  return {
    path: resolvePlace(base, file.path),
    s3: s3 && {
      region: s3.region,
      accessKeyId: s3.access_key_id,
      secretAccessKey: await readSecret(s3.secret_access_key),
      pathStyle: s3.path_style,
      caFile: maybe(s3.ca_file),
      checksums: s3.checksums,
      objectLock: s3.object_lock,
    },
    sftp: toSftp(sftp, maybe),
    uploadLimit: file.limit_upload,
    downloadLimit: file.limit_download,
  };
}

export function toSftp(
  given: z.output<typeof sshSchema> | undefined,
  at: (path: string | undefined) => string | undefined,
): SftpSettings | undefined {
  return (
    given && {
      identityFile: at(given.identity_file),
      knownHostsFile: at(given.known_hosts_file),
      options: given.options,
    }
  );
}
