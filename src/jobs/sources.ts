import type { Config } from '../config/index.ts';
import type { PostgresTarget } from '../database/port.ts';
import type { Inventory } from '../homeserver/port.ts';

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
