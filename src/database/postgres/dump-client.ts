import type { DatabaseWay } from '../../config/index.ts';
import { isLifeboatError, LifeboatError } from '../../core/errors.ts';
import { runCommand, streamOut, type StreamOptions } from '../../exec/index.ts';
import type { PostgresTarget } from '../port.ts';
import { CONNECT_TIMEOUT_MS, describeWay, farCommand, wayEnvironment } from '../ways/commands.ts';
import { environmentLines, farClientArgv, listClientsArgv } from '../ways/far-scripts.ts';
import { wayError } from '../ways/way-error.ts';
import { newestClient, type ClientProgram } from './client.ts';
import { compareVersions, olderMinorWarnings } from './client-version.ts';

/** A pg_dump that is new enough for the server, here or on the far side of the way. */
export interface DumpClient extends ClientProgram {
  readonly place: 'host' | 'remote';
  /** `argv` begins with `path`; `env` is that of `clientEnvironment`. As streamOut. */
  start(
    argv: readonly string[],
    options: Pick<StreamOptions, 'env' | 'signal'>,
  ): ReturnType<typeof streamOut>;
}

/**
 * From this host or from the far side, as `way.client` says. A pg_dump refuses a server of a newer major version than its own.
 * `serverVersion`: `15.18`. Errors: `database-client-old`, `command-missing`, those of `wayError`.
 */
export async function dumpClient(
  target: PostgresTarget,
  serverVersion: string,
  directory: string | undefined,
): Promise<DumpClient> {
  const { way } = target;
  const here = way?.client === 'remote' ? undefined : await ours(directory, way, majorOf(serverVersion));
  const ourOwn: DumpClient | undefined =
    here !== undefined && isNewEnough(here, serverVersion)
      ? { ...here, place: 'host', start: streamOut }
      : undefined;
  if (way === undefined || way.client === 'host') {
    if (ourOwn !== undefined) return ourOwn;
    throw tooOld(serverVersion, here, undefined, way);
  }
  if (ourOwn !== undefined && compareVersions(ourOwn.version, serverVersion) >= 0) return ourOwn;
  const there = await farClient(way, ourOwn);
  // Also within a major: 15.18 was seen to dump of a 15.20 what no 15.18 could load.
  if (ourOwn !== undefined && (there === undefined || compareVersions(there.version, ourOwn.version) <= 0))
    return ourOwn;
  if (there === undefined || !isNewEnough(there, serverVersion))
    throw tooOld(serverVersion, here, there, way);
  return {
    ...there,
    place: 'remote',
    start: (argv, options) => startThere(target, way, argv, options),
  };
}

/** `client`: `pg_dump 15.18 of this host`. Errors: as `dumpClient`. */
export async function describeDumpClient(
  target: PostgresTarget,
  serverVersion: string,
  directory: string | undefined,
): Promise<{ readonly client: string; readonly warnings: readonly string[] }> {
  const { version, place } = await dumpClient(target, serverVersion, directory);
  const of = place === 'host' || target.way === undefined ? 'this host' : describeWay(target.way);
  return {
    client: `pg_dump ${version} of ${of}`,
    warnings: olderMinorWarnings(version, serverVersion),
  };
}

/** An account that may only reach a port has none to offer, which matters only where there is none here. */
async function farClient(
  way: DatabaseWay,
  ourOwn: DumpClient | undefined,
): Promise<ClientProgram | undefined> {
  try {
    return await newestFarClient(way, 'pg_dump');
  } catch (error) {
    if (ourOwn !== undefined) return undefined;
    throw error;
  }
}

/** Missing here is no error where the far side may have one. */
async function ours(
  directory: string | undefined,
  way: DatabaseWay | undefined,
  major: number,
): Promise<ClientProgram | undefined> {
  try {
    return await newestClient('pg_dump', directory, major);
  } catch (error) {
    if (way?.client === 'auto' && isLifeboatError(error, 'command-missing')) return undefined;
    throw error;
  }
}

/** `undefined` when there is none. Errors: those of `wayError`. */
async function newestFarClient(way: DatabaseWay, name: string): Promise<ClientProgram | undefined> {
  const { exitCode, stdout, stderr } = await runCommand(farCommand(way, listClientsArgv(name)), {
    env: wayEnvironment(),
    timeoutMs: 2 * CONNECT_TIMEOUT_MS,
  });
  if (exitCode !== 0) throw wayError(way, stderr, name);
  return parseClients(stdout)[0];
}

/** `PATH<tab>pg_dump (PostgreSQL) 15.18 (Debian ...)` a line, newest first. Pure. */
export function parseClients(text: string): ClientProgram[] {
  const found = text.split('\n').flatMap((line): ClientProgram[] => {
    const [path = '', says = ''] = line.split('\t');
    const version = /\(PostgreSQL\) (\S+)/.exec(says)?.[1];
    return version === undefined ? [] : [{ path, version }];
  });
  return found.toSorted((a, b) => compareVersions(b.version, a.version));
}

function startThere(
  target: PostgresTarget,
  way: DatabaseWay,
  argv: readonly string[],
  { env = {}, signal }: Pick<StreamOptions, 'env' | 'signal'>,
): ReturnType<typeof streamOut> {
  // What leads from here means nothing there.
  const { PGPASSFILE: _file, PGHOST: _host, ...same } = env;
  return streamOut(farCommand(way, farClientArgv(argv)), {
    env: wayEnvironment(),
    signal,
    heldInput: environmentLines({
      ...same,
      PGPORT: String(target.port),
      ...(target.host === '' ? {} : { PGHOST: target.host }),
      ...(target.password === undefined ? {} : { PGPASSWORD: target.password.reveal() }),
    }),
  });
}

const majorOf = (version: string): number => Number.parseInt(version, 10);

function isNewEnough({ version }: ClientProgram, server: string): boolean {
  return majorOf(version) >= majorOf(server);
}

function tooOld(
  server: string,
  here: ClientProgram | undefined,
  there: ClientProgram | undefined,
  way: DatabaseWay | undefined,
): LifeboatError {
  const major = majorOf(server);
  const install = `Install postgresql-client-${major}, or name the directory of a newer pg_dump in lifeboat.yaml as database.client_directory.`;
  if (way === undefined || way.client === 'host')
    return new LifeboatError(
      'database-client-old',
      `pg_dump ${here?.version ?? ''} cannot dump a PostgreSQL ${server} server`,
      {
        hint:
          way === undefined
            ? install
            : [install, 'Or let it be taken from the far side: database.via.client: auto.'],
        context: { client: here?.version ?? '', server },
      },
    );
  const had = (client: ClientProgram | undefined) => (client === undefined ? 'none' : client.version);
  const hereText = way.client === 'remote' ? '' : `${had(here)} here, `;
  return new LifeboatError(
    'database-client-old',
    `no pg_dump can dump a PostgreSQL ${server} server: ${hereText}${had(there)} in ${describeWay(way)}`,
    {
      hint: [install, 'Or install it on the far side; the image of PostgreSQL itself has it.'],
      context: { client: had(here), far_client: had(there), server },
    },
  );
}
