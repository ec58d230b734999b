import type { Config } from '../config/index.ts';
import type { PostgresTarget } from '../database/port.ts';
import type { Inventory } from '../homeserver/port.ts';
import type { MediaBucket } from '../media/port.ts';
import type { MediaSource } from '../media/source.ts';
import { openDirectorySource, openUnionSource } from '../media/union.ts';
import { openBucket } from '../storage/open.ts';

/** What lifeboat.yaml says wins over what the homeserver's configuration says. */
export function databaseTarget(config: Config, inventory: Inventory): PostgresTarget {
  const given = config.database;
  const found = inventory.database;
  return {
    host: given.host ?? found.host,
    port: given.port ?? found.port,
    user: given.user ?? found.user,
    password: given.password ?? found.password,
    database: given.database ?? found.database,
    sslMode: given.sslMode ?? found.sslMode,
    sslRootCert: given.sslRootCert ?? found.sslRootCert,
  };
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
