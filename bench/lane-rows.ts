import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLUSTER_USER, DATABASE, type Cluster } from './cluster.ts';
import { bytesBelow, emptied, lifeboatArchiver } from './database-rows.ts';
import type { Installed } from './installed.ts';
import { measure, quoted, run, type Cost } from './measure.ts';
import { LIFEBOAT_LANES } from './places.ts';
import { startDatabase } from './synapse-database.ts';
import { say } from './terminal.ts';

/** Way -> one entry a round. The server's own processors are told apart: it does most of a restore. */
export type LaneCosts = ReadonlyMap<string, readonly LaneCost[]>;

export interface LaneCost extends Cost {
  readonly serverCpuSeconds: number;
  /** Of a backup: what it leaves on the disk. */
  readonly bytes: number;
}

export interface LaneResult {
  readonly databaseBytes: number;
  readonly backups: LaneCosts;
  readonly restores: LaneCosts;
}

export interface LaneOptions {
  readonly installed: Installed;
  readonly scale: number;
  readonly rounds: number;
  readonly workDirectory: string;
}

/** Backup and restore of one large database, in turn by each way. */
export async function laneRows(options: LaneOptions): Promise<LaneResult> {
  const database = await startDatabase(options.workDirectory, options.scale);
  try {
    return await allWays(options, database.cluster);
  } finally {
    await database.stop();
  }
}

async function allWays(
  { installed, rounds, workDirectory }: LaneOptions,
  cluster: Cluster,
): Promise<LaneResult> {
  const databaseBytes = Number(await cluster.sql('SELECT pg_database_size(current_database())'));
  const backups = new Map<string, LaneCost[]>();
  const restores = new Map<string, LaneCost[]>();
  const directory = join(workDirectory, 'lanes');
  const archiver = lifeboatArchiver(installed, cluster, join(workDirectory, 'lanes-lifeboat'));
  const to = `-h ${quoted(cluster.host)} -U ${CLUSTER_USER}`;
  const dump = `${cluster.bin}/pg_dump ${to}`;
  const into = (name: string) =>
    `${cluster.bin}/pg_restore ${to} -d ${name} --no-owner --no-privileges -e -j2`;
  const archive = (name: string) => quoted(join(directory, name));
  const analyzed = (script: string) =>
    `${script} && ${cluster.bin}/psql ${to} -d lanes_target -X -q -c ANALYZE`;
  const ways = {
    'pg_dump | gzip': { backup: `${dump} ${DATABASE} | gzip > ${archive('gz')}`, restore: undefined },
    'pg_dump -Fd -j2': {
      backup: `${dump} -Fd -j2 -f ${archive('fd')} ${DATABASE}`,
      restore: analyzed(`${into('lanes_target')} ${archive('fd')}`),
    },
    'pg_dump -Fc': {
      backup: `${dump} -Fc -f ${archive('fc')} ${DATABASE}`,
      restore: analyzed(`${into('lanes_target')} ${archive('fc')}`),
    },
    lifeboat: {
      backup: archiver.script,
      restore: `${quoted(process.execPath)} ${quoted(LIFEBOAT_LANES)} ${[
        installed.dist,
        join(archiver.directory, 'lifeboat.yaml'),
        join(archiver.directory, 'identity'),
        cluster.host,
        CLUSTER_USER,
        'lanes_target',
      ]
        .map(quoted)
        .join(' ')}`,
    },
  };
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, { backup, restore }] of Object.entries(ways)) {
      await emptied(directory);
      if (name === 'lifeboat') await archiver.prepare();
      const made = await withServer(cluster, `${name}: backup`, backup);
      const bytes =
        name === 'lifeboat'
          ? await bytesBelow(archiver.directory)
          : Number((await run(`du -sb ${quoted(directory)}`)).split('\t')[0]);
      backups.set(name, [...(backups.get(name) ?? []), { ...made, bytes }]);
      if (restore === undefined) continue;
      await run(`${cluster.bin}/createdb ${to} -T template0 lanes_target`);
      const restored = await withServer(cluster, `${name}: restore`, restore);
      restores.set(name, [...(restores.get(name) ?? []), { ...restored, bytes: 0 }]);
      await run(`${cluster.bin}/dropdb ${to} lanes_target`);
    }
  }
  for (const place of [directory, archiver.directory]) await rm(place, { recursive: true, force: true });
  return { databaseBytes, backups, restores };
}

async function withServer(
  cluster: Cluster,
  what: string,
  script: string,
): Promise<Cost & { serverCpuSeconds: number }> {
  const before = await serverCpu(cluster);
  const cost = await measure(script);
  // A session ends a moment after its client.
  await sleep(1000);
  const serverCpuSeconds = (await serverCpu(cluster)) - before;
  say(
    `${what}: ${cost.wallSeconds.toFixed(1)} s, CPU ${cost.cpuSeconds.toFixed(1)} s, server ${serverCpuSeconds.toFixed(1)} s`,
  );
  return { ...cost, serverCpuSeconds };
}

const TICKS_PER_SECOND = 100;

/** Of the processes that the postmaster has waited for (proc(5), cutime and cstime): those of all sessions that have ended. */
async function serverCpu({ host }: Cluster): Promise<number> {
  const pid = (await readFile(join(host, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]!;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}
