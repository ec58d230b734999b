import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CLUSTER_USER, DATABASE, type Cluster } from './cluster.ts';
import type { Installed } from './installed.ts';
import { measure, median, quoted, run, type Cost } from './measure.ts';
import { SYNAPSE_PYTHON } from './places.ts';
import { startDatabase } from './synapse-database.ts';
import { say } from './terminal.ts';
import type { Place, Tool } from './tool.ts';

const NIGHTS = 7;

/** What one tool stored of a database and seven nights of changes. */
export interface DatabaseCosts {
  readonly name: string;
  /** Into an empty repository, one entry a round. */
  readonly first: readonly Cost[];
  readonly nightly: readonly Cost[];
  readonly storedBytes: number;
  /** Median of a night. */
  readonly incrementBytes: number;
}

export interface DatabaseOptions {
  readonly installed: Installed;
  readonly peers: readonly Tool[];
  readonly scale: number;
  readonly rounds: number;
  readonly workDirectory: string;
}

export interface DatabaseResult {
  readonly dumpBytes: number;
  /** `pg_dump` alone, thrown away: nobody can be faster. */
  readonly dumpOnly: readonly Cost[];
  /** Lifeboat, the guide, and the peers. */
  readonly tools: readonly DatabaseCosts[];
}

/** One way to put the running database into storage. */
interface Archiver {
  readonly name: string;
  /** Empties `place` and makes a repository. */
  prepare(): Promise<void>;
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  readonly directory: string;
  /** Each night's file stands for itself: a first one is like all others. */
  readonly standalone: boolean;
}

/** Every tool backs up the same eight states of the same database, in turn. */
export async function databaseRows(options: DatabaseOptions): Promise<DatabaseResult> {
  const database = await startDatabase(options.workDirectory, options.scale);
  try {
    return await allNights(options, database.cluster, database.liveADay);
  } finally {
    await database.stop();
  }
}

async function allNights(
  options: DatabaseOptions,
  cluster: Cluster,
  liveADay: (night: number) => Promise<void>,
): Promise<DatabaseResult> {
  const { rounds, workDirectory } = options;
  const archivers = [
    lifeboatArchiver(options.installed, cluster, join(workDirectory, 'db-lifeboat')),
    guideArchiver(cluster, join(workDirectory, 'db-guide')),
    ...options.peers.flatMap((tool) => peerArchiver(tool, cluster, join(workDirectory, `db-${tool.name}`))),
  ];
  const dumpBytes = Number(await run(`${dumpOf(cluster)} | wc -c`));
  const dumpOnly: Cost[] = [];
  const figures = archivers.map((archiver) => ({
    archiver,
    first: [] as Cost[],
    nightly: [] as Cost[],
    sizes: [] as number[],
  }));
  for (let round = 0; round < rounds; round += 1) {
    dumpOnly.push(await measure(`${dumpOf(cluster)} > /dev/null`));
    for (const { archiver, first } of figures) {
      await archiver.prepare();
      first.push(await measured(archiver, `first of the database, round ${round + 1}`));
    }
  }
  for (const { archiver, sizes } of figures) sizes.push(await bytesBelow(archiver.directory));
  for (let night = 1; night <= NIGHTS; night += 1) {
    await liveADay(night);
    for (const { archiver, nightly, sizes } of figures) {
      if (archiver.standalone) continue;
      nightly.push(await measured(archiver, `night ${night}`));
      sizes.push(await bytesBelow(archiver.directory));
    }
  }
  for (const { archiver } of figures) await rm(archiver.directory, { recursive: true, force: true });
  return {
    dumpBytes,
    dumpOnly,
    tools: figures.map(({ archiver, first, nightly, sizes }) => ({
      name: archiver.name,
      first,
      nightly: archiver.standalone ? first : nightly,
      // Seven files are kept of what is whole every night; they differ by 0.5 %.
      storedBytes: archiver.standalone ? NIGHTS * sizes[0]! : sizes.at(-1)!,
      incrementBytes: archiver.standalone
        ? sizes[0]!
        : median(sizes.slice(1).map((size, index) => size - sizes[index]!)),
    })),
  };
}

async function measured({ name, script, env }: Archiver, what: string): Promise<Cost> {
  const cost = await measure(script, { env });
  say(
    `${name} ${what}: ${cost.wallSeconds.toFixed(1)} s, CPU ${cost.cpuSeconds.toFixed(1)} s, ${cost.rssMiB.toFixed(0)} MiB`,
  );
  return cost;
}

/** Uncompressed, as everybody advises before deduplication. */
function dumpOf({ bin, host }: Cluster): string {
  return `${bin}/pg_dump -h ${quoted(host)} -U ${CLUSTER_USER} --format=custom --compress=0 ${DATABASE}`;
}

/** The whole command: discovery, invariants inside the exported snapshot, dump, archives of keys and configuration, commit. */
export function lifeboatArchiver({ program }: Installed, cluster: Cluster, directory: string): Archiver {
  const lifeboat = (command: string): string =>
    `${quoted(process.execPath)} ${quoted(program)} ${command} --config ${quoted(join(directory, 'lifeboat.yaml'))} --quiet`;
  return {
    name: 'lifeboat',
    standalone: false,
    directory,
    env: {},
    script: lifeboat('backup'),
    prepare: async () => {
      await emptied(directory);
      await mkdir(join(directory, 'media_store'));
      const homeserver = join(directory, 'homeserver.yaml');
      // The seed of the example key in the specification's appendix "Signing JSON".
      await writeFile(
        join(directory, 'signing.key'),
        'ed25519 a_bench YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1\n',
        { mode: 0o600 },
      );
      await writeFile(
        homeserver,
        [
          'server_name: "bench.example"',
          `signing_key_path: "${join(directory, 'signing.key')}"`,
          `media_store_path: "${join(directory, 'media_store')}"`,
          `database: {name: psycopg2, args: {user: ${CLUSTER_USER}, dbname: ${DATABASE}, host: "${cluster.host}"}}`,
          '',
        ].join('\n'),
      );
      await run(
        `${lifeboat('init')} --homeserver-config ${quoted(homeserver)} --program ${quoted(SYNAPSE_PYTHON)} --repository ${quoted(join(directory, 'repository'))} --identity-out ${quoted(join(directory, 'identity'))}`,
      );
    },
  };
}

/** What every guide says. */
function guideArchiver({ bin, host }: Cluster, directory: string): Archiver {
  return {
    name: 'pg_dump|gzip',
    standalone: true,
    directory,
    env: {},
    script: `${bin}/pg_dump -h ${quoted(host)} -U ${CLUSTER_USER} ${DATABASE} | gzip > ${quoted(join(directory, 'synapse.sql.gz'))}`,
    prepare: () => emptied(directory),
  };
}

function peerArchiver(tool: Tool, cluster: Cluster, directory: string): Archiver[] {
  const place: Place = { directory };
  const stream = tool.backUpStream?.(place);
  if (stream === undefined) return [];
  const env = tool.env(place);
  return [
    {
      name: tool.name,
      standalone: false,
      directory,
      env,
      script: `${dumpOf(cluster)} | ${stream}`,
      prepare: async () => {
        await emptied(directory);
        await run(tool.init(place), { env });
      },
    },
  ];
}

export async function emptied(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
}

/** Of the repository; local caches do not count. */
export async function bytesBelow(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const counted = entries.filter(
    (entry) =>
      entry.isFile() &&
      (entry.name === 'synapse.sql.gz' || `${entry.parentPath}/`.startsWith(join(directory, 'repository/'))),
  );
  const sizes = await Promise.all(
    counted.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
