// The Python that Synapse's virtual environment is made with.
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ask } from './terminal.mjs';

/**
 * Debian's python3 has a `venv` module that lacks ensurepip until python3-venv is installed, hence both are imported.
 * Undefined when no Python 3.10 or newer will do.
 */
export async function findPython() {
  const program = 'import sys, venv, ensurepip; assert sys.version_info >= (3, 10); print(sys.executable)';
  for (const python of ['/usr/bin/python3', 'python3']) {
    const executable = await ask([python, '-c', program]);
    if (executable !== undefined && (await isOpenToTheDrill(executable))) return executable;
  }
  return undefined;
}

/** Root's drills run Synapse as another user, for whom a Python in root's closed home does not exist. */
async function isOpenToTheDrill(executable) {
  if (process.getuid() !== 0) return true;
  for (let path = await realpath(executable); ; path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) === 0) return false;
    if (path === '/') return true;
  }
}
