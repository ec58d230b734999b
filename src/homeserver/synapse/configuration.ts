import { readFile, readdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import { parseYaml } from '../../config/yaml.ts';

export type YamlMap = Readonly<Record<string, unknown>>;

/** homeserver.yaml and what is given beside it, merged as Synapse does: the last file wins, per top-level key. */
export interface Configuration {
  /** Absolute paths, in the order in which they override each other. */
  readonly files: readonly string[];
  /** Synapse's `config_dir_path`: the directory of the last file; the default signing key lies there. */
  readonly directory: string;
  readonly merged: YamlMap;
  /** The file that a top-level key comes from; the last file for keys that stand in none. */
  fileOf(key: string): string;
  /** `file:line` of a top-level key, for messages. */
  where(key: string): string;
}

/** `configFiles` in `-c` order; a directory stands for its *.yaml files, sorted. Errors: `homeserver-config-invalid`, `file-unreadable`. */
export async function readConfiguration(configFiles: readonly string[]): Promise<Configuration> {
  const files = (await Promise.all(configFiles.map((path) => expand(resolve(path))))).flat();
  const last = files.at(-1);
  if (last === undefined) {
    throw new LifeboatError(
      'homeserver-config-invalid',
      `no configuration file in ${configFiles.join(', ') || 'the list given'}`,
      {
        hint: 'Name the homeserver.yaml that Synapse is started with.',
      },
    );
  }
  const merged: Record<string, unknown> = {};
  const origins = new Map<string, { readonly file: string; readonly line: number }>();
  for (const file of files) {
    const text = await readText(file);
    const parsed = parseYaml(text, file);
    // Synapse ignores files that hold no map (an empty one, say) and so do we.
    if (!isMap(parsed)) continue;
    for (const [key, value] of Object.entries(parsed)) {
      merged[key] = value;
      origins.set(key, { file, line: lineOf(text, key) });
    }
  }
  return {
    files,
    directory: dirname(last),
    merged,
    fileOf: (key) => origins.get(key)?.file ?? last,
    where: (key) => {
      const origin = origins.get(key);
      return origin === undefined ? last : `${origin.file}:${origin.line}`;
    },
  };
}

async function expand(path: string): Promise<string[]> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw cannotRead(path, error);
  });
  if (!found.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => name.endsWith('.yaml')).toSorted();
  const files = await Promise.all(
    names.map(async (name) => ((await stat(join(path, name))).isFile() ? [join(path, name)] : [])),
  );
  return files.flat();
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw cannotRead(path, error);
  });
}

function cannotRead(path: string, error: NodeJS.ErrnoException): LifeboatError {
  if (error.code === 'ENOENT') {
    return new LifeboatError('homeserver-config-invalid', `${path} does not exist`, {
      hint: 'Name the homeserver.yaml that Synapse is started with.',
      cause: error,
    });
  }
  return new LifeboatError('file-unreadable', `cannot read ${path}: ${messageOf(error)}`, {
    hint: 'Let the user that runs lifeboat read it.',
    cause: error,
  });
}

/** Top-level keys start their line; in flow style (a JSON file) it is the first line. */
function lineOf(text: string, key: string): number {
  const lines = text.split('\n');
  const index = lines.findLastIndex(
    (line) => line.startsWith(`${key}:`) || line.startsWith(`"${key}":`) || line.startsWith(`'${key}':`),
  );
  return Math.max(index, 0) + 1;
}

export function isMap(value: unknown): value is YamlMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at `password_config.pepper`; `undefined` when something on the way is missing or is no map. */
export function valueAt(map: YamlMap, dotted: string): unknown {
  return dotted.split('.').reduce<unknown>((value, key) => (isMap(value) ? value[key] : undefined), map);
}

/** The non-empty string at a dotted path. Errors: `homeserver-config-invalid` for a value of another type. */
export function stringAt(configuration: Configuration, dotted: string): string | undefined {
  const value = valueAt(configuration.merged, dotted);
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value;
  throw invalid(configuration, dotted, 'must be a string');
}

/** As `stringAt`; a number counts as its digits, because `password: 123456` reaches psycopg2 as a number and works. */
export function scalarAt(configuration: Configuration, dotted: string): string | undefined {
  const value = valueAt(configuration.merged, dotted);
  return typeof value === 'number' ? String(value) : stringAt(configuration, dotted);
}

export function listAt(configuration: Configuration, dotted: string): readonly unknown[] {
  const value = valueAt(configuration.merged, dotted);
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw invalid(configuration, dotted, 'must be a list');
}

/** `homeserver.yaml:12: media_store_path must be a string`. Never put a value into `problem`. */
export function invalid(
  configuration: Configuration,
  dotted: string,
  problem: string,
  hint?: string,
): LifeboatError {
  const place = configuration.where(dotted.split('.')[0]!);
  return new LifeboatError('homeserver-config-invalid', `${place}: ${dotted} ${problem}`, {
    ...(hint === undefined ? {} : { hint }),
    context: { field: dotted },
  });
}
