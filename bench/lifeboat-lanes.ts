// The database of the newest snapshot into an empty one, as the first step of a drill or restore loads it, with ANALYZE: without
// the homeserver and without the comparison of every table that follows.
//
//   node bench/lifeboat-lanes.ts BUILD CONFIG IDENTITY_FILE SOCKET_DIRECTORY USER DATABASE
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as ConfigModule from '../src/config/index.ts';
import type * as DatabaseModule from '../src/database/index.ts';
import type * as Exec from '../src/exec/index.ts';
import type * as Lifeboat from '../src/index.ts';
import type { EnvironmentCommand } from '../src/environment/port.ts';
import type { RestoreContext } from '../src/restore/context.ts';
import type * as LoadDumps from '../src/restore/load-dumps.ts';
import type * as SnapshotSource from '../src/restore/snapshot-source.ts';

const [build = '', config = '', identity = '', host = '', user = '', name = ''] = process.argv.slice(2);
const load = async <Module>(file: string): Promise<Module> =>
  (await import(pathToFileURL(join(build, file)).href)) as Module;
const { openAt, systemClock } = await load<typeof Lifeboat>('index.js');
const { loadConfig } = await load<typeof ConfigModule>('config/index.js');
const { connect } = await load<typeof DatabaseModule>('database/index.js');
const { runCommand } = await load<typeof Exec>('exec/index.js');
const { loadDumps } = await load<typeof LoadDumps>('restore/load-dumps.js');
const { snapshotSource } = await load<typeof SnapshotSource>('restore/snapshot-source.js');

const { repository: place } = await loadConfig(config, { LIFEBOAT_IDENTITY_FILE: identity });
const repository = await openAt(place, systemClock);
const source = await snapshotSource(repository, (await repository.resolve('latest')).id);
const directory = await mkdtemp(join(build, 'restore-'));
const database = { host, port: 5432, user, database: name };
await loadDumps({
  source,
  target: { directory, database, clientDirectory: undefined, sealed: false },
  clock: systemClock,
  progress: () => undefined,
  // The bench's own functions.
  allowCode: true,
  exec: ({ argv, env }: EnvironmentCommand) => runCommand(argv, { env }),
  handOver: () => Promise.resolve(),
} as unknown as RestoreContext);
await rm(directory, { recursive: true });
await using session = await connect(database, { applicationName: 'lifeboat:bench' });
await session.query('ANALYZE');
