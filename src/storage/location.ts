import { LifeboatError } from '../core/errors.ts';

/** A place as people write it, in restic's manner: what kind of store, and where. */
export type Location =
  | { readonly kind: 'local'; readonly directory: string }
  | {
      readonly kind: 's3';
      /** Undefined: Amazon's, by region. */
      readonly endpoint: string | undefined;
      readonly bucket: string;
      /** Without slashes at its ends; empty: the whole bucket. */
      readonly prefix: string;
    }
  | {
      readonly kind: 'sftp';
      readonly host: string;
      readonly user: string | undefined;
      readonly port: number | undefined;
      /** Absolute, or relative to where the server lets the user in. */
      readonly path: string;
    };

const S3_FORMS = 's3:https://HOST/BUCKET/PREFIX or s3://BUCKET/PREFIX';
const SFTP_FORMS = 'sftp:USER@HOST:/PATH or sftp://USER@HOST:PORT//PATH';
/** Amazon's rules for bucket names, which others follow too. */
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** Pure. Errors: `usage`, naming the place and the forms that are understood. */
export function parseLocation(place: string): Location {
  if (place.startsWith('s3:')) return parseS3(place);
  if (place.startsWith('sftp:')) return parseSftp(place);
  return { kind: 'local', directory: place };
}

function parseS3(place: string): Location {
  const rest = place.slice('s3:'.length);
  const server = /^(https?:\/\/[^/?#@]+)\/+([^?#]*)$/.exec(rest);
  const path = server?.[2] ?? /^\/\/([^?#]*)$/.exec(rest)?.[1];
  if (path === undefined || (server !== null && !URL.canParse(server[1]!))) throw malformed(place, S3_FORMS);
  const [bucket = '', ...prefix] = path.split('/').filter((part) => part !== '');
  if (!BUCKET.test(bucket))
    throw malformed(place, `${S3_FORMS}, with a bucket of 3 to 63 lower-case letters`);
  if (prefix.some((part) => part === '.' || part === '..')) throw malformed(place, S3_FORMS);
  return { kind: 's3', endpoint: server?.[1], bucket, prefix: prefix.join('/') };
}

function parseSftp(place: string): Location {
  const rest = place.slice('sftp:'.length);
  const url = /^\/\/(?:([^@/:]+)@)?(\[[^\]/]+\]|[^@/:]+)(?::(\d{1,5}))?\/(.+)$/.exec(rest);
  const short = /^(?!\/)(?:([^@/:]+)@)?(\[[^\]/]+\]|[^@/:]+):(.+)$/.exec(rest);
  const [user, host, port, path] =
    url === null ? [short?.[1], short?.[2], undefined, short?.[3]] : url.slice(1);
  // A name that begins with a hyphen would be taken by ssh for one of its flags.
  if (host === undefined || path === undefined || host.startsWith('-') || user?.startsWith('-') === true)
    throw malformed(place, SFTP_FORMS);
  return {
    kind: 'sftp',
    host: host.replace(/^\[(.*)\]$/, '$1'),
    user,
    port: port === undefined ? undefined : Number(port),
    path,
  };
}

function malformed(place: string, forms: string): LifeboatError {
  // What stands before an @ may hold a password that somebody has put there.
  const shown = place.replace(/\/\/[^/]*@/, '//[...]@');
  return new LifeboatError('usage', `${shown} is not the place of a repository`, {
    hint: `Write ${forms}.`,
  });
}
