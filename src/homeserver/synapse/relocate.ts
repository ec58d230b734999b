import { basename, join } from 'node:path';
import type { PostgresTarget } from '../../database/port.ts';
import { movedValue } from './placed-paths.ts';

export interface NewPlace {
  readonly database: PostgresTarget;
  readonly mediaStorePath: string;
  readonly signingKeyPath: string;
  /** Path as homeserver.yaml has it -> where the restored file lies. */
  readonly placed: Readonly<Record<string, string>>;
  /** Where the copy may write what it runs with: its process id, and its logs. */
  readonly runDirectory: string;
  /** Where a changed log configuration is to lie. */
  readonly logConfigPath: string;
  /** The parsed file that `log_config` names. */
  readonly logging: unknown;
}

export interface Relocated {
  /** Holds the database password in clear: mode 0600. */
  readonly yaml: string;
  readonly changes: readonly { readonly setting: string; readonly reason: string }[];
  /** What `log_config` is to name; undefined when the restored one logs to no file. */
  readonly logging: string | undefined;
}

/**
 * The overlay of a real restore: nothing changes but where things lie. The restored homeserver.yaml stays as it was; the
 * overlay is given as the last -c, and can be merged into it when the new place is the final one.
 */
export function relocate(merged: Readonly<Record<string, unknown>>, place: NewPlace): Relocated {
  const { host, port, user, password, database, sslMode, sslRootCert } = place.database;
  const secrets = password === undefined ? {} : { password: password.reveal() };
  const tls = {
    ...(sslMode === undefined ? {} : { sslmode: sslMode }),
    ...(sslRootCert === undefined ? {} : { sslrootcert: sslRootCert }),
  };
  const settings: Record<string, unknown> = {
    database: {
      ...poolOf(merged),
      name: 'psycopg2',
      args: { ...poolArgs(merged), host, port, user, ...secrets, ...tls, dbname: database },
    },
    media_store_path: place.mediaStorePath,
    ...('signing_key' in merged ? {} : { signing_key_path: place.signingKeyPath }),
    ...('pid_file' in merged ? { pid_file: join(place.runDirectory, 'homeserver.pid') } : {}),
  };
  const logging = movedLogging(place.logging, place.runDirectory);
  if (logging !== undefined) settings['log_config'] = place.logConfigPath;
  for (const [name, value] of Object.entries(merged)) {
    const moved = name in settings ? undefined : movedValue(value, place.placed, name);
    if (moved !== undefined) settings[name] = moved;
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`);
  return {
    yaml: `# Written by lifeboat: the new places of a restored homeserver. Given as the last -c, it wins over the restored files.\n${lines.join('')}`,
    changes: Object.keys(settings).map((setting) => ({ setting, reason: 'the place of the restored copy' })),
    logging: logging === undefined ? undefined : `${JSON.stringify(logging, null, 2)}\n`,
  };
}

/**
 * Handlers (Python's logging.config, "dictionary schema") that write to files: into the directory of the copy, under the same
 * names. Where they wrote before there may be no directory, or somebody else's logs. Undefined when there are none.
 */
function movedLogging(logging: unknown, directory: string): unknown {
  const handlers = isMapping(logging) ? logging['handlers'] : undefined;
  if (!isMapping(logging) || !isMapping(handlers)) return undefined;
  let moved = false;
  const entries = Object.entries(handlers).map(([name, handler]) => {
    if (!isMapping(handler) || typeof handler['filename'] !== 'string') return [name, handler] as const;
    moved = true;
    return [name, { ...handler, filename: join(directory, basename(handler['filename'])) }] as const;
  });
  return moved ? { ...logging, handlers: Object.fromEntries(entries) } : undefined;
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Settings of the connection pool are the admin's; only the address is new. */
function poolArgs(merged: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const args = (merged['database'] as { args?: Record<string, unknown> } | undefined)?.args ?? {};
  return Object.fromEntries(
    Object.entries(args).filter(([name]) => name.startsWith('cp_') || name.startsWith('keepalives')),
  );
}

function poolOf(merged: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const database = merged['database'];
  if (typeof database !== 'object' || database === null) return {};
  return Object.fromEntries(Object.entries(database).filter(([name]) => name !== 'args' && name !== 'name'));
}
