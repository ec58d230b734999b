import { userInfo } from 'node:os';
import { LifeboatError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import type { PostgresTarget } from '../../database/port.ts';
import { invalid, isMap, scalarAt, stringAt, valueAt, type Configuration } from './configuration.ts';

/** Where Debian's PostgreSQL listens when no host is given; libpq's own default is compiled in. */
const DEFAULT_SOCKET_DIRECTORY = '/var/run/postgresql';
const DEFAULT_PORT = 5432;

/** libpq's `prefer` and `allow` may end unencrypted, which is what no setting means for our client too. */
const SSL_MODES = new Set(['disable', 'require', 'verify-ca', 'verify-full']);

export interface DatabaseBlock {
  readonly target: PostgresTarget;
  readonly warnings: readonly string[];
}

/** `database:` of homeserver.yaml, whose `args` are keyword arguments of psycopg2.connect. Errors: `homeserver-config-invalid`. */
export function readDatabaseBlock(
  configuration: Configuration,
  absolute: (path: string) => string,
): DatabaseBlock {
  requirePostgres(configuration);
  const given = parameters(configuration);
  const user = given['user'] ?? userInfo().username;
  const hosts = (given['host'] ?? given['hostaddr'] ?? DEFAULT_SOCKET_DIRECTORY).split(',');
  const password = given['password'];
  const sslMode = given['sslmode'];
  const warnings = [
    ...(given['user'] === undefined ? [`database.args names no user; ${user} is assumed`] : []),
    ...(hosts.length > 1 ? [`database.args.host names ${hosts.length} hosts; only ${hosts[0]} is used`] : []),
    ...(given['service'] === undefined
      ? []
      : ['database.args.service is not read; set the database in lifeboat.yaml']),
    ...(given['passfile'] === undefined
      ? []
      : ['database.args.passfile is not read; set the password in lifeboat.yaml']),
  ];
  return {
    target: {
      host: hosts[0]!,
      port: portOf(configuration, given['port']),
      user,
      password: password === undefined ? undefined : new Secret(password),
      database: given['dbname'] ?? given['database'] ?? user,
      sslMode:
        sslMode !== undefined && SSL_MODES.has(sslMode) ? (sslMode as PostgresTarget['sslMode']) : undefined,
      sslRootCert: given['sslrootcert'] === undefined ? undefined : absolute(given['sslrootcert']),
      sslCert: given['sslcert'] === undefined ? undefined : absolute(given['sslcert']),
      sslKey: given['sslkey'] === undefined ? undefined : absolute(given['sslkey']),
    },
    warnings,
  };
}

function requirePostgres(configuration: Configuration): void {
  const { merged } = configuration;
  if (isMap(merged['databases'])) {
    throw invalid(
      configuration,
      'databases',
      'splits the server over several databases, which is not supported yet',
      'Move to one database, or back these up by other means.',
    );
  }
  const name = isMap(merged['database']) ? merged['database']['name'] : undefined;
  if (name === 'sqlite3' || (merged['database'] === undefined && merged['database_path'] !== undefined)) {
    throw invalid(
      configuration,
      merged['database'] === undefined ? 'database_path' : 'database.name',
      'is SQLite, which is not supported yet',
      'Port the server to PostgreSQL with synapse_port_db.',
    );
  }
  if (merged['database'] === undefined) throw invalid(configuration, 'database', 'is missing');
  if (name !== 'psycopg2') throw invalid(configuration, 'database.name', 'must be psycopg2');
}

/** Keyword arguments win over the same ones in a `dsn`, as in psycopg2.extensions.make_dsn. */
function parameters(configuration: Configuration): Readonly<Record<string, string | undefined>> {
  const args = valueAt(configuration.merged, 'database.args');
  if (args !== undefined && args !== null && !isMap(args))
    throw invalid(configuration, 'database.args', 'must be a map');
  const dsn = stringAt(configuration, 'database.args.dsn');
  const names = [
    'user',
    'password',
    'dbname',
    'database',
    'host',
    'hostaddr',
    'port',
    'sslmode',
    'sslrootcert',
    'sslcert',
    'sslkey',
    'service',
    'passfile',
  ];
  const keywords = names.map((name) => [name, scalarAt(configuration, `database.args.${name}`)] as const);
  return {
    ...(dsn === undefined ? {} : parseDsn(dsn, configuration)),
    ...Object.fromEntries(keywords.filter(([, value]) => value !== undefined)),
  };
}

/** A connection URI or `key=value` pairs with optional single quotes (PostgreSQL manual, 34.1.1). */
function parseDsn(dsn: string, configuration: Configuration): Record<string, string> {
  if (/^postgres(?:ql)?:\/\//.test(dsn)) return parseUri(dsn, configuration);
  const found: Record<string, string> = {};
  for (const match of dsn.matchAll(/(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))/g)) {
    found[match[1]!] = (match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1');
  }
  return found;
}

function parseUri(dsn: string, configuration: Configuration): Record<string, string> {
  if (!URL.canParse(dsn)) throw invalid(configuration, 'database.args.dsn', 'is not a connection URI');
  const url = new URL(dsn);
  const parts = {
    host: decodeURIComponent(url.hostname),
    port: url.port,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    dbname: decodeURIComponent(url.pathname.slice(1)),
    ...Object.fromEntries(url.searchParams),
  };
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== ''));
}

function portOf(configuration: Configuration, given: string | undefined): number {
  if (given === undefined) return DEFAULT_PORT;
  const port = Number(given.split(',')[0]);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new LifeboatError(
    'homeserver-config-invalid',
    `${configuration.where('database')}: database.args.port must be a port number`,
  );
}
