import { homedir } from 'node:os';
import { join } from 'node:path';

/** Inputs are made once and kept outside of the checkout; scripts/setup/synapse.mjs keeps its own in the same place. */
const CACHE =
  process.getuid?.() === 0
    ? '/var/cache/matrix-lifeboat'
    : join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'matrix-lifeboat');

export const BENCH_CACHE = join(CACHE, 'bench');
/** Peers that no package of the distribution has are looked for here too. */
export const PEERS_DIRECTORY = join(CACHE, 'peers');
export const SYNAPSE_PYTHON = join(CACHE, 'synapse-1.163.2', 'bin', 'python');
export const CHECKOUT = new URL('..', import.meta.url).pathname;
export const LIFEBOAT_MEDIA = new URL('./lifeboat-media.ts', import.meta.url).pathname;
export const LIFEBOAT_LANES = new URL('./lifeboat-lanes.ts', import.meta.url).pathname;
