// What Debian's packages bring: who may install them, and whether a program is there already.
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ask, run, SetupError } from './terminal.mjs';

/** From Debian, without what they only recommend. `asRoot` as becomeRoot says it. */
export async function installPackages(asRoot, packages) {
  const options = {
    advice: `Install them as an administrator: apt-get install ${packages.join(' ')}`,
    env: { DEBIAN_FRONTEND: 'noninteractive' },
  };
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
}

/** What to put before a command that only root may run. */
export async function becomeRoot(byHand) {
  if (process.getuid() === 0) return [];
  if (!isInstalled('sudo'))
    throw new SetupError('packages are missing, and there is no sudo to install them with', byHand);
  // Without a terminal nobody could type a password: fail instead of waiting for ever.
  if ((await ask(['sudo', '-n', 'true'])) !== undefined) return ['sudo', '-n'];
  if (!process.stdin.isTTY)
    throw new SetupError('packages are missing, and sudo asks for a password', byHand);
  return ['sudo'];
}

export function isInstalled(program) {
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
