import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import type { DiscoverOptions, Inventory, InventoryFile, SigningKeyEntry } from '../port.ts';
import {
  invalid,
  isMap,
  listAt,
  readConfiguration,
  stringAt,
  valueAt,
  type Configuration,
} from './configuration.ts';
import { readDatabaseBlock } from './database-block.ts';
import { containerPaths } from './container-paths.ts';
import { readListeners } from './listeners.ts';
import { findProgram, versionInContainer } from './program.ts';
import { findReferencedFiles } from './referenced-files.ts';
import { findRunningSynapse, type RunningSynapse } from './running.ts';
import { findSecrets } from './secrets.ts';
import { parseSigningKeys } from './signing-key.ts';
import { findStorageProviders } from './storage-providers.ts';
import { findWorkers } from './workers.ts';

/**
 * Everything that belongs to one Synapse, found through its configuration. Reads only.
 * Errors: `homeserver-config-invalid` (file:line and field, never a value), `signing-key-missing`, `file-unreadable`.
 */
export async function discoverSynapse(options: DiscoverOptions): Promise<Inventory> {
  const configuration = await readConfiguration(options.configFiles);
  const serverName = serverNameOf(configuration);
  const { running, disbelieved } = await runningWith(configuration, serverName);
  // Synapse resolves relative paths against its working directory (os.path.abspath in synapse/config/_base.py).
  const container = containerPaths(options.paths ?? {});
  const base = resolve(
    options.workingDirectory ??
      running?.workingDirectory ??
      (container.used ? '/' : dirname(configuration.files[0]!)),
  );
  const absolute = (path: string): string => container.outside(resolve(base, path));

  const signing = await findSigningKeys(configuration, serverName, absolute);
  const database = readDatabaseBlock(configuration, absolute);
  const referenced = await findReferencedFiles(configuration, absolute);
  const workers = await findWorkers(configuration, absolute);
  const providers = findStorageProviders(listAt(configuration, 'media_storage_providers'));
  const { found: program, refused } = await findProgram(
    options.program,
    running?.program === undefined ? [] : [running.program],
    configuration.directory,
  );
  const configFiles = configuration.files.map((path): InventoryFile => ({
    path,
    role: 'homeserver-config',
    component: 'config',
  }));
  const version =
    options.container === undefined ? program?.version : await versionInContainer(options.container);
  const files = unique([...signing.files, ...configFiles, ...referenced.files, ...workers.files]);
  return {
    kind: 'synapse',
    serverName,
    version,
    program: program?.program,
    files: files.map((file) => container.named(file)),
    signingKeys: signing.keys,
    database: database.target,
    mediaStorePath: absolute(stringAt(configuration, 'media_store_path') ?? 'media_store'),
    mediaBucket: providers.bucket,
    secrets: await findSecrets(configuration, files, absolute),
    listeners: readListeners(configuration),
    merged: configuration.merged,
    warnings: [
      ...database.warnings,
      ...referenced.warnings,
      ...workers.warnings,
      ...providers.warnings,
      ...settingWarnings(configuration, workers.ofMedia),
      ...pathWarnings(configuration, running, options, base),
      ...disbelieved,
      ...refused,
      ...container.unmapped([
        ...files.map(({ path }) => path),
        absolute(stringAt(configuration, 'media_store_path') ?? 'media_store'),
      ]),
      ...(version === undefined
        ? ['no Python interpreter with Synapse was found; its version is unknown']
        : []),
    ],
  };
}

function serverNameOf(configuration: Configuration): string {
  const serverName = stringAt(configuration, 'server_name');
  if (serverName !== undefined) return serverName;
  throw invalid(
    configuration,
    'server_name',
    'is missing',
    'Name the homeserver.yaml that Synapse is started with, and all its other -c files.',
  );
}

interface RunningOnes {
  readonly running: RunningSynapse | undefined;
  readonly disbelieved: readonly string[];
}

/**
 * The running process that reads one of our files; another Synapse of this machine is none of our business. Anybody can start
 * a process that looks like one: it is believed only of a user who could read the signing key anyway.
 */
async function runningWith(configuration: Configuration, serverName: string): Promise<RunningOnes> {
  const { files } = configuration;
  const ours = (await findRunningSynapse()).filter(({ configFiles }) =>
    configFiles.some((path) => reads(path, files)),
  );
  const believed = new Set([process.getuid?.(), 0, await signingKeyOwner(configuration, serverName)]);
  return {
    running: ours.find(({ uid }) => believed.has(uid)),
    disbelieved: ours
      .filter(({ uid }) => !believed.has(uid))
      .map(
        ({ pid, uid }) =>
          `process ${pid} of user ${uid} looks like this Synapse and is not believed: the signing key belongs to another user`,
      ),
  };
}

/** Before a working directory is known: a relative path is looked for beside the configuration only. */
async function signingKeyOwner(
  configuration: Configuration,
  serverName: string,
): Promise<number | undefined> {
  const inline = stringAt(configuration, 'signing_key') !== undefined;
  const path = inline
    ? configuration.fileOf('signing_key')
    : resolve(
        configuration.directory,
        stringAt(configuration, 'signing_key_path') ?? `${serverName}.signing.key`,
      );
  return (await stat(path).catch(() => undefined))?.uid;
}

/** A `-c` argument names a file, or the directory that it lies in. */
function reads(argument: string, files: readonly string[]): boolean {
  return files.some((file) => file === argument || dirname(file) === argument);
}

interface SigningKeys {
  readonly keys: readonly SigningKeyEntry[];
  readonly files: readonly InventoryFile[];
}

/** Inline `signing_key`, `signing_key_path`, or the default beside the last configuration file (synapse/config/key.py). */
async function findSigningKeys(
  configuration: Configuration,
  serverName: string,
  absolute: (path: string) => string,
): Promise<SigningKeys> {
  const inline = stringAt(configuration, 'signing_key');
  if (inline !== undefined) {
    const file = configuration.fileOf('signing_key');
    return { keys: parseSigningKeys(inline, file), files: [] };
  }
  const given = stringAt(configuration, 'signing_key_path');
  const path =
    given === undefined ? join(configuration.directory, `${serverName}.signing.key`) : absolute(given);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw unreadableKey(configuration, path, error);
  });
  return { keys: parseSigningKeys(text, path), files: [{ path, role: 'signing-key', component: 'keys' }] };
}

function unreadableKey(
  configuration: Configuration,
  path: string,
  error: NodeJS.ErrnoException,
): LifeboatError {
  const where = configuration.where('signing_key_path');
  if (error.code === 'ENOENT') {
    return new LifeboatError('signing-key-missing', `${where}: there is no signing key at ${path}`, {
      hint: 'Correct signing_key_path. Do not start Synapse before: it would make itself a new key, and other servers would reject it.',
      cause: error,
    });
  }
  return new LifeboatError('file-unreadable', `cannot read the signing key ${path}: ${messageOf(error)}`, {
    hint: 'Let the user that runs lifeboat read it.',
    cause: error,
  });
}

function settingWarnings(configuration: Configuration, mediaWorkers: readonly string[]): string[] {
  const { merged } = configuration;
  const modules = [...listAt(configuration, 'modules'), ...listAt(configuration, 'password_providers')];
  const moduleNames = modules.map((each) =>
    isMap(each) && typeof each['module'] === 'string' ? each['module'] : '?',
  );
  return [
    ...(merged['enable_media_repo'] === false && mediaWorkers.length === 0
      ? ['enable_media_repo is false: media of another media repository are not in the backup']
      : []),
    ...(merged['enable_local_media_storage'] === false
      ? ['enable_local_media_storage is false: the media directory is not complete']
      : []),
    ...(valueAt(merged, 'matrix_authentication_service.enabled') === true ||
    valueAt(merged, 'experimental_features.msc3861.enabled') === true
      ? ['Matrix Authentication Service has a database of its own, which is not in the backup']
      : []),
    ...(moduleNames.length > 0 ? [`Python modules are not in the backup: ${moduleNames.join(', ')}`] : []),
  ];
}

/** Two ways to have read something else than Synapse does. */
function pathWarnings(
  { files, merged }: Configuration,
  running: RunningSynapse | undefined,
  options: DiscoverOptions,
  base: string,
): string[] {
  const paths = ['signing_key_path', 'media_store_path', 'log_config'].filter(
    (key) => typeof merged[key] === 'string' && !merged[key].startsWith('/'),
  );
  const guessed =
    options.paths === undefined &&
    running === undefined &&
    options.workingDirectory === undefined &&
    (paths.length > 0 || merged['media_store_path'] === undefined);
  const unnamed = (running?.configFiles ?? []).filter((path) => !reads(path, files));
  return [
    ...(guessed
      ? [
          `relative paths (${paths.join(', ') || 'media_store'}) were taken to start at ${base}, because Synapse is not running`,
        ]
      : []),
    ...(unnamed.length > 0
      ? [`the running Synapse also reads ${unnamed.join(', ')}, which was not named`]
      : []),
  ];
}

/** The first mention wins: a key file keeps its role when another setting names it again. */
function unique(files: readonly InventoryFile[]): InventoryFile[] {
  return files.filter(({ path }, index) => files.findIndex((file) => file.path === path) === index);
}
