import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createCluster, CLUSTER_USER, DATABASE, startCluster, type Cluster } from './cluster.ts';
import { quoted, run } from './measure.ts';
import { BENCH_CACHE } from './places.ts';
import { say } from './terminal.ts';
import { fillSql, nightSql, SCHEMA_SQL } from './synapse-sql.ts';

/** Gives about 2 GB of dump. */
const EVENTS = 1_000_000;

export interface BenchDatabase {
  readonly cluster: Cluster;
  /** Applies the changes of one day: 0.5 % of the bytes. */
  liveADay(night: number): Promise<void>;
  stop(): Promise<void>;
}

/** A copy of the cached database of the first night, running. */
export async function startDatabase(workDirectory: string, scale: number): Promise<BenchDatabase> {
  const events = Math.round(EVENTS * scale);
  const cached = await cachedCluster(events);
  const directory = join(workDirectory, 'postgres');
  say('copying the database');
  await run(`cp -a --reflink=auto ${quoted(cached)} ${quoted(directory)}`);
  const cluster = await startCluster(directory);
  return {
    cluster,
    liveADay: async (night) => void (await cluster.sql(nightSql(events, night))),
    stop: async () => {
      await cluster.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function cachedCluster(events: number): Promise<string> {
  const directory = join(BENCH_CACHE, `postgres-${events}`);
  if (existsSync(directory)) return directory;
  say(`making a database of ${events} events in ${directory}`);
  const unfinished = `${directory}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(BENCH_CACHE, { recursive: true });
  await createCluster(unfinished);
  const cluster = await startCluster(unfinished);
  try {
    const socket = quoted(cluster.host);
    await run(`${cluster.bin}/createdb -h ${socket} -U ${CLUSTER_USER} ${DATABASE}`);
    await cluster.sql(SCHEMA_SQL);
    await cluster.sql(fillSql(events));
  } finally {
    await cluster.stop();
  }
  await rename(unfinished, directory);
  return directory;
}
