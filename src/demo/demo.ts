/**
 * The main job, end to end, for a person to watch: a homeserver and the rest of the world, two backups, a disaster, a drill,
 * a restore, and the rest of the world talks to it again. All of it real, on loopback, below one temporary directory.
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Clock } from '../core/clock.ts';
import { LifeboatError, messageOf } from '../core/errors.ts';
import { formatBytes, formatDuration } from '../core/units.ts';
import { createDrillCa } from '../environment/index.ts';
import type { Service } from '../exec/index.ts';
import { startArgv } from '../homeserver/index.ts';
import { OVERLAY_FILE } from '../restore/steps/verify-configuration.ts';
import type { DrillReport } from '../verify/report/model.ts';
import { runSynapse, startPostgres, startSynapse, type LabPostgres, type LabSynapse } from './lab/index.ts';
import { createNarrator, type Narrator } from './narrate.ts';
import {
  bridgeRegistration,
  destroyHomeserver,
  federationStillWorks,
  fillWorld,
  moreWorld,
  type World,
} from './world/index.ts';

export interface DemoOptions {
  /** Interpreter of a virtual environment with Synapse. */
  readonly python: string;
  /** Where the reports stay when everything else is gone. */
  readonly reportDirectory: string;
  /** Leave servers' directories, for who wants to look. */
  readonly keep: boolean;
  readonly write: (text: string) => void;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Runs `lifeboat ...` as a person would, and returns what it printed. Errors: whatever the command throws. */
  readonly lifeboat: (argv: readonly string[], env?: Readonly<Record<string, string>>) => Promise<string>;
}

const SIZE = { users: 5, messages: 300, media: 30 };
const A_DAY_LATER = { messages: 20, media: 3 };
const STEPS = 6;

/** What the chapters share. Filled from the first chapter on. */
interface Stage {
  readonly directory: string;
  readonly narrator: Narrator;
  readonly options: DemoOptions;
  readonly stops: (() => Promise<void>)[];
}

interface Lab {
  readonly postgres: LabPostgres;
  readonly home: LabSynapse;
  readonly away: LabSynapse;
}

/** Errors: `start-failed`, `drill-failed`, `interrupted`, or what a command says. Servers are ended in every case. */
export async function runDemo(options: DemoOptions): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-demo-'));
  // PostgreSQL runs as another user when we are root, and must get through.
  await chmod(directory, 0o755);
  const narrator = createNarrator(options.write, options.clock, STEPS);
  const stage: Stage = { directory, narrator, options, stops: [] };
  const started = options.clock.monotonicMs();
  try {
    const lab = await chapter(stage, 'Start PostgreSQL and two Synapses that federate over TLS', () =>
      startLab(stage),
    );
    const world = await chapter(stage, 'Fill them as people would, through the client API', () =>
      settle(stage, lab),
    );
    const later = await chapter(stage, 'Back up, live on for a day, back up again', () =>
      backUp(stage, lab, world),
    );
    await chapter(stage, 'Lose everything', () => burn(stage, lab));
    await chapter(stage, 'Drill: bring the snapshot to life in a sealed environment', () => drill(stage));
    await chapter(stage, 'Restore for real, and let the surviving server talk to it', () =>
      restore(stage, lab, later),
    );
    await summary(stage, options.clock.monotonicMs() - started);
  } finally {
    for (const stop of stage.stops.toReversed()) {
      // One that cannot be stopped must not keep the others running, nor hide why we are here.
      await stop().catch((error: unknown) =>
        narrator.say(`a server could not be stopped: ${messageOf(error)}`),
      );
    }
    if (options.keep) narrator.say(`everything stays in ${directory}`);
    else await rm(directory, { recursive: true, force: true });
  }
}

async function chapter<T>({ narrator, options }: Stage, title: string, act: () => Promise<T>): Promise<T> {
  const { signal } = options;
  try {
    signal.throwIfAborted();
    return await narrator.step(title, act);
  } catch (error) {
    // However it shows where it hit: a person who stops the demo has not met a fault.
    if (signal.aborted) throw new LifeboatError('interrupted', 'the demo was interrupted', { cause: error });
    throw error;
  }
}

async function startLab({ directory, narrator, options, stops }: Stage): Promise<Lab> {
  const { python, signal } = options;
  const postgres = await startPostgres({ directory: join(directory, 'postgres') });
  stops.push(postgres.stop);
  const ca = await createDrillCa();
  const start = async (name: string, more: object = {}) => {
    const database = await postgres.createDatabase(name, name);
    const server = await startSynapse({
      directory: join(directory, name),
      database,
      python,
      ca,
      signal,
      ...more,
    });
    stops.push(server.stop);
    return server;
  };
  const starting = [start('home', { appservice: bridgeRegistration() }), start('away')] as const;
  // Who came up is on the list of those to be stopped before anything is torn down, also when the other failed.
  await Promise.allSettled(starting);
  const [home, away] = await Promise.all(starting);
  narrator.say(`home, the server that we care for:  ${home.serverName}`);
  narrator.say(`away, the rest of the world:        ${away.serverName}`);
  return { postgres, home, away };
}

async function settle({ narrator, options }: Stage, { home, away }: Lab): Promise<World> {
  const world = await fillWorld(home, away, SIZE, options.signal);
  const { users, rooms, messages, media, thumbnails } = world.counts;
  narrator.say(
    `${users} users with devices and one-time keys, ${rooms} rooms (public, private, encrypted, shared with away)`,
  );
  narrator.say(
    `${messages} messages, ${media} media with ${thumbnails} thumbnails, an avatar, an appservice`,
  );
  return world;
}

async function backUp(stage: Stage, { home }: Lab, world: World): Promise<World> {
  const { directory, narrator, options } = stage;
  const paths = pathsOf(directory);
  await mkdir(paths.lifeboat, { mode: 0o700 });
  await options.lifeboat([
    'init',
    ...['--homeserver-config', home.configFile, '--program', options.python],
    ...['--repository', paths.repository, '--config', paths.config, '--identity-out', paths.identity],
  ]);
  await options.lifeboat(['backup', '--config', paths.config]);
  const later = await moreWorld(world, A_DAY_LATER);
  narrator.say(`a day later: ${A_DAY_LATER.messages} more messages, ${A_DAY_LATER.media} more media`);
  await options.lifeboat(['backup', '--config', paths.config]);
  await options.lifeboat(['list', '--config', paths.config]);
  return later;
}

async function burn({ narrator }: Stage, { home, postgres }: Lab): Promise<void> {
  await destroyHomeserver(home, postgres);
  narrator.say('database dropped; media, signing key and configuration deleted');
}

async function drill({ directory, options }: Stage): Promise<void> {
  const { config, identity } = pathsOf(directory);
  await options.lifeboat([
    'drill',
    'latest',
    '--peer',
    '--config',
    config,
    '--identity',
    identity,
    '--report-dir',
    options.reportDirectory,
  ]);
}

async function restore(stage: Stage, { postgres, home }: Lab, world: World): Promise<void> {
  const { directory, narrator, options, stops } = stage;
  const { config, identity, target } = pathsOf(directory);
  const database = await postgres.createDatabase('restored', 'restored');
  const url = `postgres://${database.user}@${database.host}:${database.port}/${database.database}`;
  await options.lifeboat(
    [
      'restore',
      'latest',
      '--config',
      config,
      '--identity',
      identity,
      '--target',
      target,
      '--database',
      url,
      '--confirm',
      home.serverName,
    ],
    { PGPASSWORD: database.password?.reveal() ?? '' },
  );
  // Where the restored configuration wants its log: on a new machine the package makes that directory.
  await mkdir(home.directory, { recursive: true });
  const configFiles = [join(target, 'config', home.configFile), join(target, 'config', OVERLAY_FILE)];
  const argv = startArgv({ program: options.python, configFiles });
  const { clientUrl } = home;
  const { signal } = options;
  const service: Service = await runSynapse({ argv, directory: target, clientUrl, signal });
  stops.push(() => service.stop());
  for (const { from, to, arrived, ms } of await federationStillWorks(world)) {
    if (!arrived) throw new LifeboatError('drill-failed', `a message of ${from} did not reach ${to}`);
    narrator.say(`a message of ${from} reached ${to} after ${formatDuration(ms)}`);
  }
}

/** A short table, and where the report lies. */
async function summary({ directory, narrator, options }: Stage, totalMs: number): Promise<void> {
  const { config } = pathsOf(directory);
  const report = await newestReport(options.reportDirectory);
  const { sizes } = report;
  const list = await options.lifeboat(['list', '--json', '--config', config]);
  const added = snapshotsOf(list).map(({ new_bytes: bytes }) => formatBytes(bytes));
  const checks = report.steps.flatMap((step) => step.checks);
  const provingMs = report.steps.reduce((sum, { checkMs }) => sum + checkMs, 0);
  narrator.table('What was shown', [
    ...report.steps.map(({ number, title, result, applyMs, checkMs, checks: own }): [string, string] => [
      `${number} ${title}`,
      `${result}  restored in ${formatDuration(applyMs)}, proven in ${formatDuration(checkMs)} by ${own.length} checks`,
    ]),
    [
      'drill',
      `${report.result}, ${checks.filter(({ result }) => result === 'pass').length} of ${checks.length} checks passed`,
    ],
    [
      'RTO',
      `${formatDuration(report.rtoMs)} of restoring and starting; proving it took ${formatDuration(provingMs)} more`,
    ],
    [
      'RPO',
      report.rpo.atSnapshotMs === null
        ? 'unknown'
        : `${formatDuration(report.rpo.atSnapshotMs)} between the newest event and the snapshot`,
    ],
    [
      'sizes',
      `database ${formatBytes(sizes.databaseBytes)}, ${sizes.mediaFiles} media files of ${formatBytes(sizes.mediaBytes)}`,
    ],
    ['first backup', `${added[0] ?? '?'} stored`],
    ['second backup', `${added[1] ?? '?'} stored: only what was new`],
    ...narrator
      .durations()
      .map(({ title, ms }, index): [string, string] => [
        `phase ${index + 1}`,
        `${formatDuration(ms)}  ${title}`,
      ]),
    ['everything', formatDuration(totalMs)],
    ['report', join(resolve(options.reportDirectory), await newestFile(options.reportDirectory, '.html'))],
  ]);
}

function pathsOf(directory: string) {
  const lifeboat = join(directory, 'lifeboat');
  return {
    lifeboat,
    repository: join(lifeboat, 'repository'),
    config: join(lifeboat, 'lifeboat.yaml'),
    identity: join(lifeboat, 'identity'),
    target: join(directory, 'restored'),
  };
}

function snapshotsOf(jsonLines: string): { new_bytes: number }[] {
  const messages = jsonLines
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { message_type: string; new_bytes: number });
  return messages.filter(({ message_type: type }) => type === 'snapshot');
}

async function newestReport(directory: string): Promise<DrillReport> {
  return JSON.parse(
    await readFile(join(directory, await newestFile(directory, '.json')), 'utf8'),
  ) as DrillReport;
}

/** Report names begin with the time of their drill. */
async function newestFile(directory: string, ending: string): Promise<string> {
  return (
    (await readdir(directory))
      .filter((name) => name.endsWith(ending))
      .toSorted()
      .at(-1) ?? ''
  );
}
