/**
 * Is everything there that backup, drill and restore need? Looks and tries, changes nothing that stays. A check is yielded as
 * soon as it is known; one that fails says what to do.
 */
import type { Config } from '../config/index.ts';
import type { Clock } from '../core/clock.ts';
import { isLifeboatError, LifeboatError, messageOf } from '../core/errors.ts';
import { formatDuration } from '../core/units.ts';
import {
  amcheckAbility,
  connect,
  databaseInfo,
  describeDumpClient,
  describeWay,
  newestClient,
  saferClient,
} from '../database/index.ts';
import { createProcessEnvironment } from '../environment/index.ts';
import { homeserverOf } from '../homeserver/index.ts';
import type { Inventory } from '../homeserver/port.ts';
import { openMediaDirectory } from '../media/directory.ts';
import type { Check } from '../restore/step.ts';
import { inventoryOf } from './inventory.ts';
import { openAt } from './open.ts';
import { examineRsync } from './media/rsync.ts';
import { databaseTarget, mediaDirectory } from './sources.ts';

type Finding = Pick<Check, 'result' | 'observed' | 'detail'> | string;

/** `config` undefined: only what a drill of files needs. */
export async function* examine(config: Config | undefined, clock: Clock): AsyncGenerator<Check> {
  yield await look('doctor.node', 'Node.js is new enough', () => process.versions.node);
  if (config !== undefined) {
    yield* examineSources(config);
    yield* examineRepository(config, clock);
  }
  // Over a way pg_dump may be one of the far side, which doctor.dump-client finds out.
  const needed = config?.database.via === undefined ? ['pg_dump', 'pg_restore'] : ['pg_restore'];
  yield await look('doctor.clients', `${needed.join(' and ')} can be run`, async () => {
    const clients = await Promise.all(
      needed.map((name) => newestClient(name, config?.database.clientDirectory)),
    );
    const observed = clients.map(({ path, version }) => `${path} (${version})`).join(', ');
    const holes = clients.flatMap(({ path, version }) => {
      const safer = saferClient(version);
      return safer === undefined
        ? []
        : [`${path} ${version} has holes that a hostile dump can use: install ${safer} or newer.`];
    });
    return holes.length === 0 ? observed : { result: 'warn', observed, detail: holes };
  });
  yield* examineEnvironment(config);
}

async function* examineSources(config: Config): AsyncGenerator<Check> {
  const found: { inventory?: Inventory } = {};
  yield await look('doctor.homeserver', 'the homeserver is found through its configuration', async () => {
    const { kind } = config.homeserver;
    found.inventory = await inventoryOf(config);
    const { serverName, version, files, warnings } = found.inventory;
    if (version === undefined)
      throw new LifeboatError('homeserver-config-invalid', 'its program was not found', {
        hint: 'Name its interpreter as homeserver.program in lifeboat.yaml.',
      });
    return {
      result: warnings.length === 0 ? 'pass' : 'warn',
      observed: `${serverName}, ${kind} ${version}, ${files.length} files`,
      detail: warnings,
    };
  });
  const { inventory } = found;
  if (inventory === undefined) return;
  let serverVersion: string | undefined;
  yield await look('doctor.database', 'the database can be read, and is this homeserver’s', async () => {
    const target = databaseTarget(config, inventory);
    await using session = await connect(target, { applicationName: 'lifeboat:doctor' });
    await homeserverOf(inventory.kind).facts(session, inventory);
    const info = await databaseInfo(session);
    serverVersion = info.serverVersion;
    const through = target.way === undefined ? '' : `, through ${describeWay(target.way)}`;
    return `${info.name}, PostgreSQL ${serverVersion}${through}`;
  });
  const known = serverVersion;
  if (known !== undefined)
    yield await look('doctor.dump-client', 'a pg_dump is new enough for it', async () => {
      const target = databaseTarget(config, inventory);
      const directory = config.database.clientDirectory;
      const { client, warnings } = await describeDumpClient(target, known, directory);
      return { result: warnings.length === 0 ? 'pass' : 'warn', observed: client, detail: warnings };
    });
  yield await look('doctor.amcheck', 'the indexes can be checked', async () => {
    if (config.database.amcheckEveryMs === Infinity)
      return { result: 'skip', observed: 'amcheck_every: never' };
    await using session = await connect(databaseTarget(config, inventory), {
      applicationName: 'lifeboat:doctor',
    });
    const ability = await amcheckAbility(session);
    if (ability.able)
      return `every ${formatDuration(config.database.amcheckEveryMs)}, by the extension amcheck`;
    return { result: 'skip', observed: ability.why };
  });
  yield await look('doctor.media', 'the media store can be read', async () => {
    const { strategy, rsync } = config.media;
    if (strategy === 'rsync' && rsync !== undefined)
      return await examineRsync(rsync, mediaDirectory(config, inventory));
    await openMediaDirectory(mediaDirectory(config, inventory));
    return mediaDirectory(config, inventory);
  });
}

async function* examineRepository(config: Config, clock: Clock): AsyncGenerator<Check> {
  yield await look('doctor.repository', 'the repository opens, and its log is whole', async () => {
    const repository = await openAt({ ...config.repository, identityFile: undefined }, clock);
    const snapshots = await repository.snapshots();
    const newest = snapshots.at(-1);
    if (newest === undefined)
      return {
        result: 'warn',
        observed: `${repository.location}, no snapshot yet`,
        detail: ['Run `lifeboat backup`.'],
      };
    const age = formatDuration(Math.max(0, clock.now().getTime() - newest.time.getTime()));
    const proven = snapshots.filter(({ drill }) => drill?.result === 'PASS').length;
    const observed = `${snapshots.length} snapshots, ${proven} proven, the newest is ${age} old`;
    return proven > 0
      ? observed
      : { result: 'warn', observed, detail: ['None is proven. Run `lifeboat drill`.'] };
  });
  const { identityFile } = config.repository;
  yield await look('doctor.identity', 'an identity that opens snapshots is given', async () => {
    if (identityFile === undefined)
      return { result: 'skip', observed: 'none; needed for drill and restore only' };
    const repository = await openAt(config.repository, clock);
    const newest = (await repository.snapshots()).at(-1);
    if (newest !== undefined) await repository.manifest(newest.id);
    return identityFile;
  });
}

/** Really makes the sealed environment of a drill, and a database in it. */
async function* examineEnvironment(config: Config | undefined): AsyncGenerator<Check> {
  yield await look(
    'doctor.environment',
    'drills can be run: a sealed environment, and PostgreSQL inside',
    async () => {
      const environment = await createProcessEnvironment({
        workDirectory: config?.drill.workDirectory ?? '/var/tmp',
        postgresDirectory: config?.drill.postgresDirectory,
        readOnlyPaths: [],
        hostNames: [],
        srv: {},
        keepDirectory: false,
      });
      try {
        await environment.prepare();
        const open = (await environment.attemptEscape()).filter(({ escaped }) => escaped);
        if (open.length > 0)
          throw new LifeboatError(
            'not-sealed',
            `it is not sealed: ${open.map(({ target }) => target).join(', ')}`,
          );
        await environment.postgres();
        return `sealed, as ${environment.user}`;
      } finally {
        await environment.destroy();
      }
    },
  );
}

async function look(id: string, title: string, act: () => Finding | Promise<Finding>): Promise<Check> {
  try {
    const finding = await act();
    return { id, title, ...(typeof finding === 'string' ? { result: 'pass', observed: finding } : finding) };
  } catch (error) {
    return {
      id,
      title,
      result: 'fail',
      observed: messageOf(error),
      detail: isLifeboatError(error) ? error.hints : [],
    };
  }
}
