import { readFile } from 'node:fs/promises';
import { LifeboatError, messageOf } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { PostgresTarget } from '../database/port.ts';

const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;

/**
 * `postgresql://user@host:port/database`, with what it leaves out taken from `PG*`, as psql does. A password stands in
 * PGPASSWORD, never in the URL: every user of the machine can read the arguments of a process.
 * Errors: `usage`, `secret-unreadable`.
 */
export async function databaseTarget(
  url: string | undefined,
  passwordFile: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<PostgresTarget> {
  const given = url === undefined ? {} : parseUrl(url);
  const from = (name: string) => (env[name] === '' ? undefined : env[name]);
  const database = given.database ?? from('PGDATABASE');
  const user = given.user ?? from('PGUSER');
  if (database === undefined || user === undefined) {
    throw new LifeboatError('usage', `the target has no ${database === undefined ? 'database' : 'user'}`, {
      hint: 'Give --database postgresql://USER@HOST/DATABASE, or set PGHOST, PGUSER and PGDATABASE.',
    });
  }
  const password = passwordFile === undefined ? from('PGPASSWORD') : await firstLine(passwordFile);
  return {
    host: given.host ?? from('PGHOST') ?? '/var/run/postgresql',
    port: given.port ?? portOf(from('PGPORT') ?? '5432'),
    user,
    database,
    password: password === undefined ? undefined : new Secret(password),
    sslMode: SSL_MODES.find((mode) => mode === from('PGSSLMODE')),
    sslRootCert: from('PGSSLROOTCERT'),
  };
}

/** Stands where libpq lets the host be empty, and WHATWG's URL does not. */
const NO_HOST = 'no-host.invalid';

function parseUrl(text: string): Partial<PostgresTarget> {
  const whole = text.replace(/^(\w+:\/\/[^/?#]*@)(?=\/)/, `$1${NO_HOST}`);
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw new LifeboatError('usage', '--database is not a URL of PostgreSQL', {
      hint: 'Write postgresql://USER@HOST:PORT/DATABASE.',
    });
  }
  if (url.password !== '') {
    throw new LifeboatError(
      'usage',
      '--database has a password in it, which every user of this machine can read',
      {
        hint: 'Leave it out and set PGPASSWORD. Think about changing it.',
      },
    );
  }
  const part = (value: string | null) =>
    value === null || value === '' ? undefined : decodeURIComponent(value);
  return {
    // A socket's directory does not fit where a host name stands: libpq takes it as ?host=.
    host:
      part(url.searchParams.get('host')) ??
      part(url.hostname.replace(/^\[(.*)\]$/, '$1').replace(NO_HOST, '')),
    port: url.port === '' ? undefined : Number(url.port),
    user: part(url.username),
    database: part(url.pathname.slice(1)),
  } as Partial<PostgresTarget>;
}

function portOf(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new LifeboatError('usage', `PGPORT is not a port: ${text}`);
}

async function firstLine(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).split(/\r?\n/)[0] ?? '';
  } catch (error) {
    throw new LifeboatError(
      'secret-unreadable',
      `cannot read the password file ${file}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
