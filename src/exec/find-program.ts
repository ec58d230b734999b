import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { LifeboatError } from '../core/errors.ts';

/** Debian packages of the programs that lifeboat may call, for the hint. */
const PACKAGES: Readonly<Record<string, string>> = {
  age: 'age',
  bwrap: 'bubblewrap',
  initdb: 'postgresql',
  pg_ctl: 'postgresql',
  pgbackrest: 'pgbackrest',
  postgres: 'postgresql',
  pg_dump: 'postgresql-client',
  pg_restore: 'postgresql-client',
  psql: 'postgresql-client',
  rsync: 'rsync',
  setpriv: 'util-linux',
  ssh: 'openssh-client',
};

/** Absolute path of an executable file, looked for in `directories` first, then on the PATH. */
export function findProgram(name: string, directories: readonly string[] = []): string | undefined {
  if (isAbsolute(name)) return isExecutable(name) ? name : undefined;
  const path = (process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin')
    .split(delimiter)
    .filter((each) => each !== '');
  // Administrators' programs are not on every user's PATH.
  return [...directories, ...path, '/usr/sbin', '/sbin']
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

/** Errors: `command-missing`, with the package to install. */
export function requireProgram(name: string, directories: readonly string[] = []): string {
  return findProgram(name, directories) ?? fail(name);
}

export function commandMissing(name: string, cause?: unknown): LifeboatError {
  const debianPackage = PACKAGES[name];
  return new LifeboatError('command-missing', `${name} is not installed or not on the PATH`, {
    hint: debianPackage === undefined ? `Install ${name}.` : `Install it: apt-get install ${debianPackage}`,
    ...(cause === undefined ? {} : { cause }),
  });
}

function fail(name: string): never {
  throw commandMissing(name);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
