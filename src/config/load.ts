import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { z } from './zod.ts';
import { LifeboatError, messageOf } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { Config } from './config.ts';
import { parseConfigDocument, type YamlDocument } from './document.ts';
import { toDatabaseWay } from './database-way.ts';
import { configSchema, type ConfigFile } from './schema.ts';
import { toMedia } from './media.ts';
import { toOtherDatabases } from './other-databases.ts';
import { toPgBackRest } from './pgbackrest.ts';
import { nearest } from './nearest.ts';
import { toMaintenance } from './maintenance.ts';
import { toHooks } from './running.ts';
import { resolvePlace, toStorePlace, type SecretReference } from './store.ts';

const LOOKED_FOR = ['lifeboat.yaml', '/etc/lifeboat/lifeboat.yaml'];

/** Flag, then LIFEBOAT_CONFIG, then the usual places. Errors: `config-missing`. */
export function findConfig(flag: string | undefined, env: NodeJS.ProcessEnv): string {
  const given = fromEnvironment(flag) ?? fromEnvironment(env['LIFEBOAT_CONFIG']);
  if (given !== undefined) return given;
  const found = LOOKED_FOR.map((path) => resolve(path)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new LifeboatError(
    'config-missing',
    `there is no configuration: looked for ${LOOKED_FOR.join(' and ')}`,
    {
      hint: [
        'Name the repository with --repository PLACE, where the host with lifeboat.yaml is lost: then no configuration is needed.',
        'Or make one: lifeboat init --homeserver-config /etc/matrix-synapse/homeserver.yaml --repository PLACE --identity-out FILE',
        'Or name yours with --config FILE.',
      ],
    },
  );
}

/**
 * Reads and checks everything before anything runs; all problems at once, each with file:line:column and what to do.
 * LIFEBOAT_REPOSITORY and LIFEBOAT_IDENTITY_FILE win over the file. Errors: `config-*`, `secret-unreadable`.
 */
export async function loadConfig(file: string, env: NodeJS.ProcessEnv): Promise<Config> {
  return parseConfig(await readConfigFile(file), file, env);
}

/** The same of a text that is to become this file. */
export async function parseConfig(text: string, file: string, env: NodeJS.ProcessEnv): Promise<Config> {
  const document = parseConfigDocument(text, file, env);
  return toConfig(validate(document), dirname(resolve(file)), document, env);
}

/** Everything that is wrong, in one error. Pure. */
function validate(document: YamlDocument): ConfigFile {
  const parsed = configSchema.safeParse(document.value ?? {}, { reportInput: true });
  const issues = parsed.error?.issues.flatMap((issue) => describeIssue(issue, document)) ?? [];
  const problems = [...document.problems.map(({ text }) => text), ...issues];
  if (problems.length === 0 && parsed.success) return parsed.data;
  const unsetOnly = issues.length === 0 && document.problems.every(({ code }) => code === 'config-env-unset');
  throw new LifeboatError(
    unsetOnly ? 'config-env-unset' : 'config-invalid',
    problems.toSorted(byPlace).join('\n'),
    {
      hint: unsetOnly
        ? 'Set the variable, or write the value into a file and name it with {file: path}.'
        : 'See docs/reference/configuration.md, and run `lifeboat config validate` after the correction.',
      context: { file: document.file, problems: problems.length },
    },
  );
}

/** `lifeboat.yaml:9:1` before `lifeboat.yaml:10:1`. */
function byPlace(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const denied = (error as NodeJS.ErrnoException).code === 'EACCES';
    const why = denied ? 'permission denied' : messageOf(error);
    throw new LifeboatError('config-missing', `cannot read the configuration ${file}: ${why}`, {
      hint: denied
        ? 'Run lifeboat as the user that owns it, or as root.'
        : 'Make one with `lifeboat init`, or name yours with --config FILE.',
      cause: error,
    });
  }
}

function describeIssue(issue: z.core.$ZodIssue, document: YamlDocument): string[] {
  const name = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) => `${document.whereKey(issue.path, key)}: unknown key ${key}${suggestion(issue.path, key)}`,
    );
  }
  const text =
    issue.input === undefined
      ? 'is missing'
      : issue.message.replace(/^[A-Z]/, (letter) => letter.toLowerCase());
  return [`${document.where(issue.path)}: ${name === '' ? 'the file' : name}: ${text}`];
}

function suggestion(path: readonly PropertyKey[], key: string): string {
  let schema: z.core.$ZodType = configSchema;
  for (const part of path) {
    const { def } = unwrap(schema)._zod as {
      def: { shape?: Record<string, z.core.$ZodType>; element?: z.core.$ZodType };
    };
    const inner = typeof part === 'number' ? def.element : def.shape?.[String(part)];
    if (inner === undefined) return '';
    schema = inner;
  }
  const { def } = unwrap(schema)._zod as { def: { shape?: Record<string, unknown> } };
  const close = nearest(key, Object.keys(def.shape ?? {}));
  return close === undefined ? '' : `, did you mean ${close}?`;
}

/** Defaults and optionals wrap the object that has the keys. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const { innerType } = schema._zod.def as { innerType?: z.core.$ZodType };
  return innerType === undefined ? schema : unwrap(innerType);
}

async function toConfig(
  file: ConfigFile,
  base: string,
  document: YamlDocument,
  env: NodeJS.ProcessEnv,
): Promise<Config> {
  const at = (path: string) => resolve(base, path);
  const maybe = (path: string | undefined) => (path === undefined ? undefined : at(path));
  const { homeserver, database, media, repository, retention, drill } = file;
  const secretAt = (path: readonly (string | number)[]) => (given: SecretReference | undefined) =>
    readSecret(given, at, document.where(path), env);
  const store = await toStorePlace(repository, base, secretAt(['repository', 's3', 'secret_access_key']));
  const copies = await Promise.all(
    repository.copies.map(async (copy, index) => ({
      name: copy.name,
      ...(await toStorePlace(
        copy,
        base,
        secretAt(['repository', 'copies', index, 's3', 'secret_access_key']),
      )),
    })),
  );
  return {
    file: document.file,
    homeserver: {
      kind: homeserver.kind,
      config: homeserver.config.map(at),
      program: maybe(homeserver.program),
      paths: Object.fromEntries(
        Object.entries(homeserver.paths).map(([inside, outside]) => [inside, at(outside)]),
      ),
      container: homeserver.container,
    },
    configuration: file.config,
    database: {
      engine: database.engine,
      pgbackrest: toPgBackRest(database.pgbackrest, at),
      host: database.host,
      port: database.port,
      user: database.user,
      password: await secretAt(['database', 'password'])(database.password),
      database: database.database,
      sslMode: database.sslmode,
      sslRootCert: maybe(database.sslrootcert),
      sslCert: maybe(database.sslcert),
      sslKey: maybe(database.sslkey),
      via: database.via === undefined ? undefined : toDatabaseWay(database.via, at),
      clientDirectory: maybe(database.client_directory),
      yieldAfterMs: database.yield_after,
      lockTimeoutMs: database.lock_timeout,
      lanes: database.lanes,
      also: await toOtherDatabases(database.also, secretAt),
      ignore: database.ignore,
      amcheckEveryMs: database.amcheck_every,
    },
    media: toMedia(media, base, {
      s3: await secretAt(['media', 's3', 'secret_access_key'])(media.s3.secret_access_key),
      s3Sync: await secretAt(['media', 's3_sync', 'secret_access_key'])(media.s3_sync?.secret_access_key),
    }),
    repository: {
      ...store,
      path: placeFromEnvironment(env['LIFEBOAT_REPOSITORY']) ?? store.path,
      copies,
      hostKeyFile: at(repository.host_key_file),
      adminKeyFile: maybe(repository.admin_key_file),
      identityFile: fromEnvironment(env['LIFEBOAT_IDENTITY_FILE']) ?? maybe(repository.identity_file),
      stateDirectory: at(repository.state_directory),
    },
    retention: {
      keepLast: retention.keep_last ?? 0,
      keepDaily: retention.keep_daily,
      keepWeekly: retention.keep_weekly,
      keepMonthly: retention.keep_monthly,
      keepYearly: retention.keep_yearly ?? 0,
      keepWithinMs: retention.keep_within,
      floor: retention.floor,
    },
    drill: {
      peer: drill.peer,
      timeoutMs: drill.timeout,
      workDirectory: at(drill.work_directory),
      postgresDirectory: maybe(drill.postgres_directory),
    },
    hooks: toHooks(file.hooks),
    maintenance: await toMaintenance(file.maintenance, secretAt(['maintenance', 'admin_token'])),
    priority: { nice: file.priority.nice, io: file.priority.io },
    logLevel: file.log.level,
  };
}

/** Relative to the working directory, as for a flag; an empty variable counts as unset. */
function fromEnvironment(path: string | undefined): string | undefined {
  return path === undefined || path === '' ? undefined : resolve(path);
}

function placeFromEnvironment(place: string | undefined): string | undefined {
  return place === undefined || place === '' ? undefined : resolvePlace('.', place);
}

async function readSecret(
  given: SecretReference | undefined,
  at: (path: string) => string,
  where: string,
  env: NodeJS.ProcessEnv,
): Promise<Secret | undefined> {
  if (given === undefined) return undefined;
  if (typeof given === 'string') return new Secret(given);
  if ('env' in given) {
    const value = env[given.env];
    if (value !== undefined) return new Secret(value);
    throw new LifeboatError(
      'config-env-unset',
      `${where}: the environment variable ${given.env} is not set`,
      { hint: `Set ${given.env}.` },
    );
  }
  try {
    return new Secret((await readFile(at(given.file), 'utf8')).replace(/\r?\n$/, ''));
  } catch (error) {
    throw new LifeboatError(
      'secret-unreadable',
      `${where}: cannot read ${at(given.file)}: ${messageOf(error)}`,
      {
        hint: 'Make the file readable for the user that runs lifeboat, and for nobody else.',
        cause: error,
      },
    );
  }
}
