import { lstat, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { findProgram, runCommand } from '../../exec/index.ts';
import type { PostgresTarget } from '../port.ts';
import { compareVersions } from './client-version.ts';

/** Debian keeps each major apart; the wrapper in /usr/bin is not always the newest. */
const VERSIONED = '/usr/lib/postgresql';

export interface ClientProgram {
  readonly path: string;
  readonly version: string;
}

/**
 * The newest program of this name: a pg_dump refuses a newer server. Of equal ones the real program, not Debian's wrapper.
 * Errors: `command-missing`.
 */
export async function newestClient(name: string, directory?: string): Promise<ClientProgram> {
  const candidates =
    directory === undefined
      ? [...(await versioned(name)), findProgram(name)]
      : [findProgram(join(directory, name))];
  const newest = await newestOf(candidates);
  if (newest !== undefined) return newest;
  throw new LifeboatError(
    'command-missing',
    `${name} is not installed${directory === undefined ? '' : ` in ${directory}`}`,
    {
      hint: 'Install it: apt-get install postgresql-client, or name its directory in lifeboat.yaml as database.client_directory.',
    },
  );
}

/** Of equal versions the first. */
export async function newestOf(
  candidates: readonly (string | undefined)[],
): Promise<ClientProgram | undefined> {
  const found: ClientProgram[] = [];
  for (const path of new Set(candidates)) {
    if (path === undefined) continue;
    const version = /\(PostgreSQL\) (\S+)/.exec((await runCommand([path, '--version'])).stdout)?.[1];
    if (version !== undefined) found.push({ path, version });
  }
  return found.toSorted((a, b) => compareVersions(b.version, a.version))[0];
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
  };
}

/**
 * Runs something with the password in a 0600 PGPASSFILE of a 0700 directory (libpq ignores a readable one), removed at the
 * end. An environment variable would be readable by every process of the same user.
 */
export async function withPasswordFile<T>(
  target: PostgresTarget,
  use: (env: Record<string, string>) => Promise<T>,
): Promise<T> {
  if (target.password === undefined) return use({});
  await (swept ??= sweepPasswordFiles());
  const directory = await mkdtemp(join(tmpdir(), `${await prefixHere()}${process.pid}-`));
  try {
    const file = join(directory, 'pgpass');
    await writeFile(file, `*:*:*:*:${target.password.reveal().replace(/[\\:]/g, '\\$&')}\n`, { mode: 0o600 });
    return await use({ PGPASSFILE: file });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const PASSWORD_PREFIX = 'lifeboat-pg-';
let swept: Promise<void> | undefined;

/** What processes that were killed have left: a password in clear, if only for their own user. */
async function sweepPasswordFiles(): Promise<void> {
  const prefix = await prefixHere();
  for (const name of await readdir(tmpdir()).catch((): string[] => [])) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    const path = join(tmpdir(), name);
    if (pid === undefined || isAlive(Number(pid))) continue;
    const found = await lstat(path).catch(() => undefined);
    if (found?.isDirectory() === true && found.uid === process.getuid?.())
      await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** With the process namespace: in another container on the same /tmp the same number is another process (pid_namespaces(7)). */
async function prefixHere(): Promise<string> {
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return `${PASSWORD_PREFIX}${/\d+/.exec(namespace)?.[0] ?? 'unknown'}-`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
