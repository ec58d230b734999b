import { homedir } from 'node:os';
import { join } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { findProgram } from '../../exec/index.ts';

/** The Synapse of the lab; scripts/setup/synapse.mjs installs the same. */
const SYNAPSE_VERSION = '1.163.2';

/** Outside of any checkout, so that clones share it: the system's cache for root, the user's own otherwise. */
function cacheDirectory(): string {
  if (process.getuid?.() === 0) return '/var/cache/matrix-lifeboat';
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'matrix-lifeboat');
}

/** Python interpreter of the Synapse that the set-up installed. Errors: `command-missing`. */
export function synapsePython(): string {
  const python = join(cacheDirectory(), `synapse-${SYNAPSE_VERSION}`, 'bin', 'python');
  const found = findProgram(python);
  if (found !== undefined) return found;
  throw new LifeboatError(
    'command-missing',
    `the demo's Synapse ${SYNAPSE_VERSION} is not installed: ${python} is missing`,
    {
      hint: 'Run `npm run demo` in a clone of matrix-lifeboat: it installs Synapse.',
    },
  );
}
