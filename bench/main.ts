// Compares lifeboat with other tools on the same made-up homeserver, side by side in one run, and prints ratios. A bench, not
// a test: it asserts nothing. docs/performance.md says how to read it.
//
//   npm run bench -- [--scale 0.1] [--rounds 3] [--only first,nothing,database] [--peers restic,borg]
//   npm run bench -- --only lanes --scale 2.5      (a database of 8 GB)
//   npm run bench -- --memory 100000
import { existsSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { databaseRows } from './database-rows.ts';
import { install, type Installed } from './installed.ts';
import { laneRows } from './lane-rows.ts';
import { lifeboatTool, type Lifeboat } from './lifeboat.ts';
import { MEDIA_ROWS, mediaRound, removeNewFiles, type MediaCosts, type MediaRow } from './media-rows.ts';
import { mediaTree } from './media-tree.ts';
import { run } from './measure.ts';
import { memoryRows } from './memory-rows.ts';
import { PEERS } from './peers.ts';
import { BENCH_CACHE } from './places.ts';
import { laneReport } from './lane-report.ts';
import { databaseReport, mediaReport, memoryReport } from './report.ts';
import { print, say } from './terminal.ts';
import type { Tool } from './tool.ts';

const FILES = 20_000;
/** 2 GB in all. */
const MEAN_BYTES = 100_000;
const NEW_SHARE = 0.001;

const { values } = parseArgs({
  options: {
    scale: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: [...MEDIA_ROWS, 'database', 'lanes'].join(',') },
    peers: { type: 'string', default: PEERS.map(({ name }) => name).join(',') },
    memory: { type: 'string' },
  },
});
const scale = Number(values.scale);
const rounds = Number(values.rounds);
const only = values.only.split(',');
const rows = MEDIA_ROWS.filter((row) => only.includes(row));

if (!existsSync('/usr/bin/time')) throw new Error('the bench measures with GNU time: apt-get install time');
const workDirectory = join(BENCH_CACHE, `work-${process.pid}`);
// PostgreSQL's own user has to reach its part of it.
await mkdir(workDirectory, { recursive: true, mode: 0o755 });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
process.on('exit', () => rmSync(workDirectory, { recursive: true, force: true, maxRetries: 3 }));
await compare();

async function compare(): Promise<void> {
  const installed = await install(workDirectory);
  const lifeboat = lifeboatTool(installed);
  const peers = await installedPeers(values.peers.split(','));
  print(await machine([lifeboat, ...peers]));
  if (values.memory !== undefined) await memory(Number(values.memory), lifeboat, peers);
  else {
    if (rows.length > 0) await media(lifeboat, peers);
    if (only.includes('database')) await database(installed, peers);
    if (only.includes('lanes')) await lanes(installed);
  }
}

async function media(lifeboat: Lifeboat, peers: readonly Tool[]): Promise<void> {
  const tools = [lifeboat, ...peers];
  const files = Math.round(FILES * scale);
  const tree = mediaTree({ files, meanBytes: MEAN_BYTES, sizes: 'log-normal', newShare: NEW_SHARE });
  await removeNewFiles(tree);
  const costs = new Map<string, MediaCosts>(tools.map(({ name }) => [name, new Map()]));
  for (let round = 0; round < rounds; round += 1) {
    // Each tool takes its turn at being first.
    const order = tools.map((_, index) => tools[(index + round) % tools.length]!);
    for (const tool of order) {
      say(`round ${round + 1} of ${rounds}: ${tool.name}`);
      const measured = await mediaRound({
        tool,
        lifeboat,
        tree,
        workDirectory,
        wanted: new Set<MediaRow>(rows),
      });
      const all = costs.get(tool.name)!;
      for (const [row, list] of measured) all.set(row, [...(all.get(row) ?? []), ...list]);
    }
  }
  print(
    `\n${tree.files} media files, ${Math.round(tree.bytes / 1e6)} MB, incompressible; medians of ${rounds} rounds.`,
  );
  print('The ratio is lifeboat to the fastest of restic, kopia, borg and rustic.\n');
  print(mediaReport(rows, tools, costs));
}

async function database(installed: Installed, peers: readonly Tool[]): Promise<void> {
  const result = await databaseRows({ installed, peers, scale, rounds, workDirectory });
  print(
    `\nDatabase, seven nights with 0.5 % changed; medians of ${rounds} first backups and of seven nights.`,
  );
  print(databaseReport(result));
}

async function lanes(installed: Installed): Promise<void> {
  const result = await laneRows({ installed, scale, rounds, workDirectory });
  print(`\nA large database; medians of ${rounds} rounds, load ${loadavg()[0]!.toFixed(1)} at the end.`);
  print(laneReport(result));
}

async function memory(files: number, lifeboat: Lifeboat, peers: readonly Tool[]): Promise<void> {
  const tools = [lifeboat, ...peers.filter(({ comparable }) => comparable)];
  const costs = await memoryRows({ files, tools, lifeboat, workDirectory });
  print(`\n${memoryReport(files, costs)}`);
}

async function installedPeers(names: readonly string[]): Promise<Tool[]> {
  const found: Tool[] = [];
  for (const peer of PEERS.filter(({ name }) => names.includes(name))) {
    const there = await run(peer.probe).then(
      () => true,
      () => false,
    );
    if (there) found.push(peer);
    else print(`${peer.name} is not installed: ${peer.installHint}`);
  }
  return found;
}

async function machine(tools: readonly Tool[]): Promise<string> {
  const versions = await Promise.all(
    tools.map(async ({ name, probe }) => `${name}: ${(await run(probe)).trim().replaceAll('\n', ', ')}`),
  );
  return [`${availableParallelism()} cores, Node ${process.versions.node}`, ...versions].join('\n');
}
