import type { Config } from '../config/index.ts';
import { LifeboatError } from '../core/errors.ts';
import type { PostgresTarget } from '../database/port.ts';
import type { Inventory } from '../homeserver/port.ts';
import type { MediaBucket } from '../media/port.ts';
import type { MediaSource } from '../media/source.ts';
import { openDirectorySource, openUnionSource } from '../media/union.ts';
import { openBucket } from '../storage/open.ts';

/** What lifeboat.yaml says wins over what the homeserver's configuration says. Errors: `config-invalid`. */
export function databaseTarget(config: Config, inventory: Inventory): PostgresTarget {
  const given = config.database;
  const found = inventory.database;
  const way = given.via;
  // Inside the container PostgreSQL is not where the homeserver sees it from outside.
  const inside = way?.container !== undefined;
  const sslMode = given.sslMode ?? found.sslMode;
  const target = {
    host: given.host ?? (inside ? '' : found.host),
    port: given.port ?? (inside ? 5432 : found.port),
    user: given.user ?? found.user,
    password: given.password ?? found.password,
    database: given.database ?? found.database,
    sslMode,
    sslRootCert: given.sslRootCert ?? found.sslRootCert,
    sslCert: given.sslCert ?? found.sslCert,
    sslKey: given.sslKey ?? found.sslKey,
  };
  if (way === undefined) return target;
  requireNoTls(config, target);
  // The way is the protection; its last stretch is on one machine.
  return {
    ...target,
    way,
    sslMode: undefined,
    sslRootCert: undefined,
    sslCert: undefined,
    sslKey: undefined,
  };
}

/** Behind a way the last stretch is not encrypted; where somebody wanted it to be, that must not pass in silence. */
function requireNoTls(config: Config, { host, sslMode }: PostgresTarget): void {
  if (sslMode === undefined || sslMode === 'disable' || isOfOneMachine(host)) return;
  throw new LifeboatError(
    'config-invalid',
    `${config.file}: database.via leads to ${host} without TLS, and sslmode is ${sslMode}`,
    {
      hint: 'Let database.via end on the machine of the database, or set database.sslmode: disable where the network between is trusted.',
    },
  );
}

function isOfOneMachine(host: string): boolean {
  return (
    host === '' || host.startsWith('/') || host === 'localhost' || host === '::1' || host.startsWith('127.')
  );
}

export function mediaDirectory(config: Config, inventory: Inventory): string {
  return config.media.path ?? inventory.mediaStorePath;
}

/** Where the homeserver puts media besides its directory; undefined: nowhere, or it is to be left out. */
export function mediaBucket(config: Config, inventory: Inventory): MediaBucket | undefined {
  const given = config.media.s3;
  const found = inventory.mediaBucket;
  const bucket = given.bucket ?? found?.bucket;
  if (given.ignore || bucket === undefined) return undefined;
  // Keys of one account are of no use with another: those of lifeboat.yaml come together.
  const credentials = given.accessKeyId === undefined ? found : given;
  return {
    bucket,
    prefix: given.prefix ?? found?.prefix ?? '',
    endpoint: given.endpoint ?? found?.endpoint,
    region: given.region ?? found?.region,
    accessKeyId: credentials?.accessKeyId,
    secretAccessKey: credentials?.secretAccessKey,
    sessionToken: credentials === found ? found?.sessionToken : undefined,
    pathStyle: given.pathStyle,
    caFile: given.caFile,
  };
}

/** Errors: `media-unreadable`, and those of `openBucket`. */
export async function openMediaSource(
  directory: string,
  bucket: MediaBucket | undefined,
): Promise<MediaSource> {
  if (bucket === undefined) return await openDirectorySource(directory);
  return await openUnionSource(directory, await openBucket(bucket), bucket.prefix);
}
