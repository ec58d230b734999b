// Programs of the system, from Debian's packages: what is there already, from wherever, is left alone.
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findPython } from './python.mjs';
import { ask, run, say, SetupError } from './terminal.mjs';

/** Debian package -> programs that have to be there. */
const ALWAYS = {
  postgresql: ['postgres', 'initdb'],
  'postgresql-client': ['pg_dump', 'pg_restore', 'psql'],
  'python3-venv': [],
  age: ['age', 'age-keygen'],
  zstd: ['zstd'],
  jq: ['jq'],
  bubblewrap: ['bwrap'],
  openssl: ['openssl'],
  'util-linux': ['setpriv', 'unshare'],
};
const FOR_TESTS = {
  strace: ['strace'],
  git: ['git'],
  mount: ['mount'],
  'openssh-client': ['ssh', 'ssh-keygen'],
  'openssh-server': ['sshd'],
  rsync: ['rsync'],
  'redis-server': ['redis-server'],
};

export function systemPrograms({ forTests }) {
  const wanted = { ...ALWAYS, ...(forTests ? FOR_TESTS : {}) };
  const lacking = async () => {
    const packages = Object.keys(wanted).filter((name) =>
      wanted[name].some((program) => !isInstalled(program)),
    );
    return (await findPython()) !== undefined ? packages : [...packages, 'python3-venv'];
  };
  return {
    title: 'system packages',
    takes: 'a minute',
    advice: 'Install what is missing in the way of your distribution.',
    missing: async () => {
      const packages = await lacking();
      return packages.length === 0 ? undefined : `${packages.join(', ')} missing`;
    },
    install: async () => {
      const packages = await lacking();
      const byHand = `Install them as an administrator: apt-get install ${packages.join(' ')}`;
      if (!isInstalled('apt-get'))
        throw new SetupError(
          `this is no Debian, and these are missing: ${packages.join(', ')}`,
          'Install them in the way of your distribution.',
        );
      const asRoot = await becomeRoot(byHand);
      const options = { advice: byHand, env: { DEBIAN_FRONTEND: 'noninteractive' } };
      if (packages.includes('postgresql'))
        say('Debian starts a PostgreSQL of its own on port 5432; Lifeboat leaves it alone');
      await run([...asRoot, 'apt-get', 'update', '-q'], options);
      // sudo does not pass the environment on, `env` does.
      await run(
        [
          ...asRoot,
          'env',
          'DEBIAN_FRONTEND=noninteractive',
          'apt-get',
          'install',
          '-q',
          '-y',
          '--no-install-recommends',
          ...packages,
        ],
        options,
      );
    },
  };
}

async function becomeRoot(byHand) {
  if (process.getuid() === 0) return [];
  if (!isInstalled('sudo'))
    throw new SetupError('packages are missing, and there is no sudo to install them with', byHand);
  // Without a terminal nobody could type a password: fail instead of waiting for ever.
  if ((await ask(['sudo', '-n', 'true'])) !== undefined) return ['sudo', '-n'];
  if (!process.stdin.isTTY)
    throw new SetupError('packages are missing, and sudo asks for a password', byHand);
  return ['sudo'];
}

function isInstalled(program) {
  const path = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  // Administrators' programs, and PostgreSQL's server, are not on everybody's PATH.
  return [...path, '/usr/sbin', '/sbin', ...postgresDirectories()].some((directory) =>
    isExecutable(join(directory, program)),
  );
}

function postgresDirectories() {
  try {
    return readdirSync('/usr/lib/postgresql').map((major) => `/usr/lib/postgresql/${major}/bin`);
  } catch {
    return [];
  }
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
