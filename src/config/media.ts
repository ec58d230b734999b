import { resolve } from 'node:path';
import type { Secret } from '../core/secret.ts';
import {
  mediaS3Schema,
  s3SyncSchema,
  toMediaS3,
  toS3Sync,
  type MediaS3Settings,
  type S3SyncSettings,
} from './media-s3.ts';
import { duration, rate, sshSchema, toSftp, type SftpSettings } from './store.ts';
import { z } from './zod.ts';

/** `media` of lifeboat.yaml: which, from where, and by which strategy. */
export interface MediaSettings {
  readonly path: string | undefined;
  readonly classes: readonly string[];
  readonly allowMissing: boolean;
  /** Ms. */
  readonly compareEveryMs: number;
  readonly strategy: 'repository' | 'rsync' | 's3-sync';
  /** There with the strategy `rsync`. */
  readonly rsync: RsyncSettings | undefined;
  /** The bucket of the homeserver's storage provider. */
  readonly s3: MediaS3Settings;
  /** There with the strategy `s3-sync`. */
  readonly s3Sync: S3SyncSettings | undefined;
}

export interface RsyncSettings {
  /** An absolute directory, or `sftp:USER@HOST:/PATH`. */
  readonly place: string;
  /** The same; undefined: the media store of this machine. */
  readonly source: string | undefined;
  readonly ssh: SftpSettings | undefined;
  /** Bytes a second. */
  readonly bandwidthLimit: number | undefined;
  /** Ms without a byte. */
  readonly timeoutMs: number;
}

const path = z.string().min(1);
/**
 * What leads to a server passes through a shell there, and is named to ssh: these characters mean nothing to either.
 * `USER@HOST:/PATH` is rsync's own notation, the other that of `repository.path`.
 */
const REMOTE = /^(?:sftp:(?!\/))?[\w.-]*@?(?:[\w.-]+|\[[\w:.%]+\]):[\w.@%+=,/~-]+$/;
const REMOTE_URL = /^sftp:\/\/(?:[\w.-]+@)?(?:[\w.-]+|\[[\w:.%]+\])(?::\d+)?\/[\w.@%+=,/~-]+$/;
const rsyncPlace = path
  .refine(
    (text) => !isRemote(text) || REMOTE.test(text) || REMOTE_URL.test(text),
    'must be a directory, USER@HOST:/PATH or sftp://USER@HOST:PORT//PATH, the latter without spaces and quotes',
  )
  .refine((text) => !/^[^/]*(?:^|[:@/])-/.test(text), 'must not have a part that begins with a hyphen');

/** As rsync decides it: a colon before the first slash. */
function isRemote(text: string): boolean {
  return /^[^/]*:/.test(text);
}

const rsyncSchema = z.strictObject({
  place: rsyncPlace.describe(
    'Where generations of media are kept, in clear: a directory, USER@HOST:/PATH or sftp://USER@HOST:PORT//PATH.',
  ),
  source: rsyncPlace
    .optional()
    .describe(
      'Media store on another machine, to be pulled from: USER@HOST:/PATH. Default: that of this machine.',
    ),
  ssh: sshSchema.optional().describe('How to reach the other machine.'),
  bandwidth_limit: rate.optional().describe('At most so much a second is transferred: 10MiB.'),
  timeout: duration.prefault('10m').describe('Gives up when nothing was transferred for so long.'),
});

export const mediaSchema = z
  .strictObject({
    path: path.optional().describe('Media store, where it differs from media_store_path.'),
    classes: z
      .array(z.enum(['local_content', 'local_thumbnails', 'remote_content', 'remote_thumbnail', 'url_cache']))
      .default(['local_content', 'local_thumbnails'])
      .describe('What to back up; remote media and URL previews can be fetched again.'),
    allow_missing: z
      .boolean()
      .default(false)
      .describe(
        'Back up although most of the uploads have no file; otherwise it is taken for a disk that is not mounted.',
      ),
    compare_every: duration
      .prefault('7d')
      .describe(
        'How often a backup compares all rows with all files; others do not look at files whose content is stored. 0s: each.',
      ),
    strategy: z
      .enum(['repository', 'rsync', 's3-sync'])
      .default('repository')
      .describe('Encrypted in the repository, or copied in clear to another place (docs/media.md).'),
    rsync: rsyncSchema.optional().describe('The strategy `rsync`.'),
    s3: mediaS3Schema,
    s3_sync: s3SyncSchema.optional().describe('The strategy `s3-sync`.'),
  })
  .refine(({ strategy, rsync }) => strategy !== 'rsync' || rsync !== undefined, {
    message: 'the strategy rsync needs rsync.place',
    path: ['rsync'],
  })
  .refine(({ strategy, s3_sync }) => strategy !== 's3-sync' || s3_sync !== undefined, {
    message: 'the strategy s3-sync needs s3_sync.place',
    path: ['s3_sync'],
  })
  .refine(({ rsync }) => rsync?.source === undefined || !(isRemote(rsync.source) && isRemote(rsync.place)), {
    message: 'place and source cannot both be on other machines: run lifeboat on one of them',
    path: ['rsync', 'source'],
  });

export function toMedia(
  file: z.output<typeof mediaSchema>,
  base: string,
  secrets: { readonly s3: Secret | undefined; readonly s3Sync: Secret | undefined },
): MediaSettings {
  const maybe = (given: string | undefined) => (given === undefined ? undefined : resolve(base, given));
  const { rsync } = file;
  return {
    path: maybe(file.path),
    classes: file.classes,
    allowMissing: file.allow_missing,
    compareEveryMs: file.compare_every,
    strategy: file.strategy,
    rsync: rsync && {
      place: placeOf(rsync.place, base),
      source: rsync.source === undefined ? undefined : placeOf(rsync.source, base),
      ssh: toSftp(rsync.ssh, maybe),
      bandwidthLimit: rsync.bandwidth_limit,
      timeoutMs: rsync.timeout,
    },
    s3: toMediaS3(file.s3, secrets.s3, (given) => resolve(base, given)),
    s3Sync: toS3Sync(file.s3_sync, secrets.s3Sync, (given) => resolve(base, given)),
  };
}

/** As manifests have it. */
export function placeOf(text: string, base: string): string {
  if (!isRemote(text)) return resolve(base, text);
  return text.startsWith('sftp:') ? text : `sftp:${text}`;
}
