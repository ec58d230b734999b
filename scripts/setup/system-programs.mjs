// Programs of the system, from Debian's packages: what is there already, from wherever, is left alone.
import { becomeRoot, installPackages, isInstalled } from './packages.mjs';
import { findPython } from './python.mjs';
import { say, SetupError } from './terminal.mjs';

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
  pgbackrest: ['pgbackrest'],
  git: ['git'],
  mount: ['mount'],
  'openssh-client': ['ssh', 'ssh-keygen'],
  'openssh-server': ['sshd'],
  // Programs that a way to a database may find on the far side.
  socat: ['socat'],
  busybox: ['busybox'],
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
      if (packages.includes('postgresql'))
        say('Debian starts a PostgreSQL of its own on port 5432; Lifeboat leaves it alone');
      await installPackages(asRoot, packages);
    },
  };
}
