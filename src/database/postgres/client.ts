import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { findProgram, runCommand } from '../../exec/index.ts';
import type { PostgresTarget } from '../port.ts';
import { openForward } from '../ways/forward.ts';
import { compareVersions } from './client-version.ts';
import { privateDirectory } from './private-directory.ts';

/** Debian keeps each major apart; the wrapper in /usr/bin is not always the newest. */
const VERSIONED = '/usr/lib/postgresql';

export interface ClientProgram {
  readonly path: string;
  readonly version: string;
}

/**
 * The newest program of this name: a pg_dump refuses a newer server. Of equal ones the real program, not Debian's wrapper.
 * With `major` the newest of that one, where it is there: what pg_dump and pg_restore 17 write begins with a setting that no
 * server before 17 knows, so that the tools of the server's own major restore where newer ones cannot.
 * Errors: `command-missing`.
 */
export async function newestClient(name: string, directory?: string, major?: number): Promise<ClientProgram> {
  const candidates =
    directory === undefined
      ? [...(await versioned(name)), findProgram(name)]
      : [findProgram(join(directory, name))];
  const newest = await newestOf(candidates, major);
  if (newest !== undefined) return newest;
  throw new LifeboatError(
    'command-missing',
    `${name} is not installed${directory === undefined ? '' : ` in ${directory}`}`,
    {
      hint: 'Install it: apt-get install postgresql-client, or name its directory in lifeboat.yaml as database.client_directory.',
    },
  );
}

/** Of equal versions the first; where there are any of this major, of these. */
export async function newestOf(
  candidates: readonly (string | undefined)[],
  major?: number,
): Promise<ClientProgram | undefined> {
  const found: ClientProgram[] = [];
  for (const path of new Set(candidates)) {
    if (path === undefined) continue;
    const version = /\(PostgreSQL\) (\S+)/.exec((await runCommand([path, '--version'])).stdout)?.[1];
    if (version !== undefined) found.push({ path, version });
  }
  const fitting = found.filter(({ version }) => Number.parseInt(version, 10) === major);
  return (fitting.length > 0 ? fitting : found).toSorted((a, b) => compareVersions(b.version, a.version))[0];
}

async function versioned(name: string): Promise<(string | undefined)[]> {
  const majors = await readdir(VERSIONED).catch((): string[] => []);
  return majors.map((major) => findProgram(join(VERSIONED, major, 'bin', name)));
}

/** Connection by environment, so that nothing of it but the database's name ever stands in argv. */
export function clientEnvironment(target: PostgresTarget, applicationName: string): Record<string, string> {
  return {
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGUSER: target.user,
    PGDATABASE: target.database,
    PGAPPNAME: applicationName,
    ...(target.sslMode === undefined ? {} : { PGSSLMODE: target.sslMode }),
    ...(target.sslRootCert === undefined ? {} : { PGSSLROOTCERT: target.sslRootCert }),
    ...(target.sslCert === undefined ? {} : { PGSSLCERT: target.sslCert }),
    ...(target.sslKey === undefined ? {} : { PGSSLKEY: target.sslKey }),
  };
}

/**
 * Runs something that starts client programs of this machine, with what they need beside `clientEnvironment`: the password in a
 * 0600 PGPASSFILE (libpq ignores a readable one; an environment variable would be readable by every process of the same user), and
 * where the database is reached by a way, a socket that leads there. Both lie in a 0700 directory that is removed at the end.
 */
export async function withPasswordFile<T>(
  target: PostgresTarget,
  use: (env: Record<string, string>) => Promise<T>,
): Promise<T> {
  const { password, way } = target;
  if (password === undefined && way === undefined) return use({});
  await using directory = await privateDirectory();
  await using forward = way === undefined ? undefined : await openForward(way, target, directory.path);
  if (password === undefined) return await use({ ...forward?.env });
  const file = join(directory.path, 'pgpass');
  await writeFile(file, `*:*:*:*:${password.reveal().replace(/[\\:]/g, '\\$&')}\n`, { mode: 0o600 });
  return await use({ ...forward?.env, PGPASSFILE: file });
}
