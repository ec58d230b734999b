import { access, constants, readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { InventoryFile } from '../port.ts';
import { isMap, valueAt, type Configuration, type YamlMap } from './configuration.ts';
import { parseYaml } from '../../config/yaml.ts';
import type { FoundFiles } from './referenced-files.ts';

export interface FoundWorkers extends FoundFiles {
  /** Names of those that serve media, instead of the main process. */
  readonly ofMedia: readonly string[];
}

/** Where worker files lie by custom: beside homeserver.yaml, or in one of these below it. */
const WORKER_DIRECTORIES = ['.', 'workers', 'conf.d', 'workers.d'];

/**
 * Worker files have no reference in homeserver.yaml: they are recognised by their `worker_app`. Files of a `conf.d` that
 * are neither workers nor given with `-c` are kept as well, with a warning, because Synapse may well be reading them.
 */
export async function findWorkers(
  configuration: Configuration,
  absolute: (path: string) => string,
): Promise<FoundWorkers> {
  const ofMedia: string[] = [];
  const files: InventoryFile[] = [];
  const warnings: string[] = [];
  const names = new Set<string>();
  for (const path of await yamlFilesAround(configuration)) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) {
      warnings.push(`${path} cannot be read; if it configures a worker, it is missing from the backup`);
      continue;
    }
    const parsed = parseLeniently(text, path);
    if (!isMap(parsed)) continue;
    if (typeof parsed['worker_app'] === 'string') {
      files.push({ path, role: 'worker-config', component: 'config' });
      const name = typeof parsed['worker_name'] === 'string' ? parsed['worker_name'] : path;
      names.add(name);
      if (servesMedia(parsed)) ofMedia.push(name);
      if (typeof parsed['media_store_path'] === 'string')
        warnings.push(
          `${path}: media_store_path of a worker is ${absolute(parsed['media_store_path'])}; only that of homeserver.yaml is backed up`,
        );
      const logConfig = parsed['worker_log_config'];
      if (typeof logConfig !== 'string') continue;
      if (await isReadable(absolute(logConfig)))
        files.push({ path: absolute(logConfig), role: 'log-config', component: 'config' });
      else warnings.push(`${path}: worker_log_config names ${absolute(logConfig)}, which cannot be read`);
    } else if (path.includes('/conf.d/')) {
      files.push({ path, role: 'included-config', component: 'config' });
      warnings.push(
        `${path} was not named with the configuration files; if Synapse is started with it, name it too`,
      );
    }
  }
  const missing = workerNames(configuration).filter((name) => !names.has(name));
  if (missing.length > 0) warnings.push(`no configuration file was found for worker ${missing.join(', ')}`);
  return { files, warnings, ofMedia };
}

/** docs/workers.md of Synapse, `synapse.app.media_repository`. */
function servesMedia(worker: YamlMap): boolean {
  return worker['enable_media_repo'] === true || worker['worker_app'] === 'synapse.app.media_repository';
}

async function yamlFilesAround({ files }: Configuration): Promise<string[]> {
  const given = new Set(files);
  const directories = new Set(
    files.flatMap((file) => WORKER_DIRECTORIES.map((name) => join(dirname(file), name))),
  );
  const lists = await Promise.all(
    [...directories].map(async (path) => {
      const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
      return entries
        .filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name))
        .map((entry) => join(path, entry.name));
    }),
  );
  return lists
    .flat()
    .filter((path) => !given.has(path))
    .toSorted();
}

function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** A neighbour that is no YAML is no worker file. */
function parseLeniently(text: string, path: string): unknown {
  try {
    return parseYaml(text, path);
  } catch {
    return undefined;
  }
}

function workerNames({ merged }: Configuration): string[] {
  const map = valueAt(merged, 'instance_map');
  return isMap(map) ? Object.keys(map).filter((name) => name !== 'main') : [];
}
