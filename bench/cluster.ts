import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { quoted, run } from './measure.ts';

/** A PostgreSQL cluster of the bench's own, reached through a socket in a directory that only its user may enter. */
export interface Cluster {
  /** Directory of the socket, for `-h`. */
  readonly host: string;
  readonly bin: string;
  sql(script: string): Promise<string>;
  stop(): Promise<void>;
}

export const CLUSTER_USER = 'bench';
export const DATABASE = 'synapse';

/** No durability, and nothing that happens by the clock: the same commands leave the same heap. */
const SETTINGS = [
  'listen_addresses=',
  'fsync=off',
  'full_page_writes=off',
  'synchronous_commit=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'max_wal_size=4GB',
  'autovacuum=off',
  'shared_buffers=256MB',
  'maintenance_work_mem=256MB',
  'jit=off',
  'max_parallel_workers_per_gather=0',
];

/** Where Debian and its relatives keep the programs of each major version. */
const VERSIONS = '/usr/lib/postgresql';

export async function createCluster(directory: string): Promise<void> {
  const bin = await binDirectory();
  await run(`mkdir -p ${quoted(directory)}`);
  if (isRoot()) await run(`chown postgres: ${quoted(directory)}`);
  await run(
    asOwner(
      `${bin}/initdb -D ${quoted(join(directory, 'data'))} -U ${CLUSTER_USER} --auth=trust --encoding=UTF8 --locale=C --no-sync`,
    ),
    { cwd: directory },
  );
}

export async function startCluster(directory: string): Promise<Cluster> {
  const bin = await binDirectory();
  const data = quoted(join(directory, 'data'));
  const settings = [`unix_socket_directories=${directory}`, ...SETTINGS]
    .map((setting) => `-c ${setting}`)
    .join(' ');
  const control = (action: string): Promise<string> =>
    run(asOwner(`${bin}/pg_ctl -D ${data} -w -s -t 300 -l ${quoted(join(directory, 'log'))} ${action}`), {
      cwd: directory,
    });
  await control(`-o ${quoted(settings)} start`);
  // pg_ctl's server is nobody's child: when the bench is interrupted it would go on running.
  const stopAtOnce = (): void =>
    void spawnSync('sh', ['-c', asOwner(`${bin}/pg_ctl -D ${data} -s -m immediate stop`)], {
      cwd: directory,
    });
  process.once('exit', stopAtOnce);
  return {
    host: directory,
    bin,
    sql: (script) =>
      run(
        `${bin}/psql -h ${quoted(directory)} -U ${CLUSTER_USER} -d ${DATABASE} -X -q -t -A -v ON_ERROR_STOP=1 <<'SQL'\n${script}\nSQL`,
      ),
    stop: async () => {
      await control('-m fast stop');
      process.off('exit', stopAtOnce);
    },
  };
}

async function binDirectory(): Promise<string> {
  const versions = existsSync(VERSIONS) ? await readdir(VERSIONS) : [];
  const newest = versions.toSorted((a, b) => Number(b) - Number(a))[0];
  if (newest !== undefined) return join(VERSIONS, newest, 'bin');
  return (await run('dirname "$(command -v initdb)"')).trim();
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** PostgreSQL refuses to run as root. */
function asOwner(command: string): string {
  return isRoot() ? `setpriv --reuid=postgres --regid=postgres --init-groups -- ${command}` : command;
}
