import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parseYaml } from '../../../config/yaml.ts';
import { isMap, type YamlMap } from '../configuration.ts';
import type { Machine } from './machine.ts';

/** In the order in which `docker compose` takes them; the override is read beside the first that is there. */
const FILE_NAMES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];
const OVERRIDES = [
  'compose.override.yaml',
  'compose.override.yml',
  'docker-compose.override.yaml',
  'docker-compose.override.yml',
];

/** Upstream's, by each of its registries, with any tag: `docker.io/matrixdotorg/synapse:latest`. */
const SYNAPSE_IMAGE = /(?:^|\/)(?:matrixdotorg\/synapse|element-hq\/synapse|matrix-org\/synapse)(?:[:@]|$)/;
const POSTGRES_IMAGE = /(?:^|\/)(?:postgres|postgresql|pgvector|timescaledb)(?:[:@]|$)/;

export interface ComposeService {
  readonly name: string;
  readonly container: string | undefined;
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Path in the container -> path on the host, of bind mounts. */
  readonly binds: Readonly<Record<string, string>>;
  /** Path in the container -> name of the volume. */
  readonly volumes: Readonly<Record<string, string>>;
}

export interface ComposeProject {
  readonly directory: string;
  readonly name: string;
  /** The file, its override, `.env` and the services' environment files, as far as they are there. */
  readonly files: readonly string[];
  readonly environmentFiles: readonly string[];
  readonly synapse: ComposeService | undefined;
  readonly postgres: ComposeService | undefined;
}

/** Of one directory; undefined when there is no compose file in it that can be read. */
export async function readCompose(machine: Machine, directory: string): Promise<ComposeProject | undefined> {
  const file = await firstThere(machine, directory, FILE_NAMES);
  if (file === undefined) return undefined;
  const override = await firstThere(machine, directory, OVERRIDES);
  const dotEnv = (await firstThere(machine, directory, ['.env'])) ?? undefined;
  const variables = parseEnvironment(dotEnv === undefined ? '' : ((await machine.read(dotEnv)) ?? ''));
  const files = [file, ...(override === undefined ? [] : [override])];
  const documents = await Promise.all(
    files.map(async (path) => parseLeniently((await machine.read(path)) ?? '', path)),
  );
  const maps = documents.filter(isMap);
  if (maps.length === 0) return undefined;
  const services: ComposeService[] = [];
  const environmentFiles = new Set(dotEnv === undefined ? [] : [dotEnv]);
  const merged: Record<string, YamlMap> = {};
  for (const map of maps)
    for (const [name, service] of Object.entries(isMap(map['services']) ? map['services'] : {}))
      if (isMap(service)) merged[name] = { ...merged[name], ...service };
  for (const [name, service] of Object.entries(merged)) {
    const named = namedFiles(service['env_file']).map((path) =>
      resolve(directory, substitute(path, variables)),
    );
    const own: Record<string, string> = {};
    for (const path of named) {
      if ((await machine.kindOf(path)) !== 'file') continue;
      environmentFiles.add(path);
      Object.assign(own, parseEnvironment((await machine.read(path)) ?? ''));
    }
    services.push(toService(name, service, directory, variables, own));
  }
  return {
    directory,
    name:
      typeof maps[0]!['name'] === 'string'
        ? maps[0]!['name']
        : (variables['COMPOSE_PROJECT_NAME'] ?? projectName(directory)),
    files,
    environmentFiles: [...environmentFiles],
    synapse: services.find(({ image }) => SYNAPSE_IMAGE.test(image)),
    postgres: services.find(({ image }) => POSTGRES_IMAGE.test(image)),
  };
}

/** The project whose Synapse has one of these files mounted: looked for beside them and in three directories above. */
export async function composeOf(
  machine: Machine,
  configFiles: readonly string[],
): Promise<ComposeProject | undefined> {
  const tried = new Set<string>();
  for (const file of configFiles) {
    let directory = dirname(file);
    for (let up = 0; up < 4 && directory !== '/'; up += 1, directory = dirname(directory)) {
      if (tried.has(directory)) continue;
      tried.add(directory);
      const project = await readCompose(machine, directory);
      const mounts = Object.values(project?.synapse?.binds ?? {});
      if (mounts.some((host) => file === host || file.startsWith(`${host}/`))) return project;
    }
  }
  return undefined;
}

function toService(
  name: string,
  service: YamlMap,
  directory: string,
  variables: Readonly<Record<string, string>>,
  fromFiles: Readonly<Record<string, string>>,
): ComposeService {
  const text = (value: unknown) => (typeof value === 'string' ? substitute(value, variables) : undefined);
  const [binds, volumes]: Record<string, string>[] = [{}, {}];
  for (const each of Array.isArray(service['volumes']) ? service['volumes'] : []) {
    const mount =
      typeof each === 'string' ? shortMount(substitute(each, variables)) : longMount(each, variables);
    if (mount === undefined) continue;
    const { source, target } = mount;
    if (source.startsWith('.') || source.startsWith('~') || isAbsolute(source))
      binds![target] = resolve(directory, source);
    else volumes![target] = source;
  }
  return {
    name,
    container: text(service['container_name']),
    image: text(service['image']) ?? '',
    environment: { ...fromFiles, ...environmentOf(service['environment'], variables) },
    binds: binds!,
    volumes: volumes!,
  };
}

/** `./files:/data:ro` */
function shortMount(text: string): { source: string; target: string } | undefined {
  const [source, target] = text.split(':');
  return source === undefined || target === undefined ? undefined : { source, target: withoutSlash(target) };
}

function longMount(
  mount: unknown,
  variables: Readonly<Record<string, string>>,
): { source: string; target: string } | undefined {
  if (!isMap(mount) || typeof mount['source'] !== 'string' || typeof mount['target'] !== 'string')
    return undefined;
  return {
    source: substitute(mount['source'], variables),
    target: withoutSlash(substitute(mount['target'], variables)),
  };
}

function withoutSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') : path;
}

function environmentOf(given: unknown, variables: Readonly<Record<string, string>>): Record<string, string> {
  const lines = Array.isArray(given) ? given.filter((each) => typeof each === 'string') : [];
  const pairs = isMap(given)
    ? Object.entries(given).map(
        ([name, value]) =>
          [name, typeof value === 'string' || typeof value === 'number' ? String(value) : ''] as const,
      )
    : lines.map((line): readonly [string, string] => {
        const at = line.indexOf('=');
        return at === -1 ? [line, variables[line] ?? ''] : [line.slice(0, at), line.slice(at + 1)];
      });
  return Object.fromEntries(pairs.map(([name, value]) => [name, substitute(value, variables)]));
}

/** A path, a list of paths, or a list of `{path, required}`. */
function namedFiles(given: unknown): string[] {
  return (Array.isArray(given) ? given : [given]).flatMap((each: unknown) => {
    const path = isMap(each) ? each['path'] : each;
    return typeof path === 'string' ? [path] : [];
  });
}

/** `NAME=value` lines; quotes around the whole value are dropped. */
export function parseEnvironment(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const match = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line);
    if (match !== null) found[match[1]!] = match[2]!.replace(/^(["'])(.*)\1$/, '$2');
  }
  return found;
}

/** `${NAME}`, `${NAME:-default}`, `$NAME`; what is not set is empty, as in compose. */
function substitute(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(
    /\$\$|\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)/g,
    (whole, braced: string | undefined, fallback: string | undefined, plain: string | undefined) =>
      whole === '$$' ? '$' : variables[braced ?? plain ?? ''] || (fallback ?? ''),
  );
}

/** Lower case, what is left of it (docs.docker.com/compose/how-tos/project-name). */
function projectName(directory: string): string {
  return directory
    .slice(directory.lastIndexOf('/') + 1)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '');
}

async function firstThere(
  machine: Machine,
  directory: string,
  names: readonly string[],
): Promise<string | undefined> {
  for (const name of names) {
    const path = join(directory, name);
    if ((await machine.kindOf(path)) === 'file') return path;
  }
  return undefined;
}

function parseLeniently(text: string, path: string): unknown {
  try {
    return parseYaml(text, path);
  } catch {
    return undefined;
  }
}
