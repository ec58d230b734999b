import { isMap } from './configuration.ts';

/**
 * Paths inside a configuration, wherever they stand in it, and where their files lie after a restore. Absolute strings are paths
 * under any setting; a relative one only under a setting that names files: `example.org` is a server name and may be the name of
 * a file of the reverse proxy too.
 */
const FILE_SETTING = /(?:_path|_file|_files|_list|_config|_dir|_directory|additional_providers)$/;
const DIRECTORY_SETTING = /^(?:custom_template_directory|template_dir|ca_path)$/;

/** Files that surround the homeserver; its configuration does not name them. */
const SURROUNDINGS = new Set(['reverse-proxy', 'well-known', 'environment', 'service-unit', 'extra']);

interface Placed {
  /** Where it lies now. */
  readonly path: string;
  readonly source: string;
  readonly role: string;
  readonly inside?: string;
}

/** Path as the configuration has it -> where the restored file, or directory of templates, lies. */
export function placedPaths(
  merged: Readonly<Record<string, unknown>>,
  files: readonly Placed[],
): Record<string, string> {
  const candidates = files.filter(({ role }) => !SURROUNDINGS.has(role));
  const found: Record<string, string> = {};
  for (const [setting, name] of named(merged)) {
    const place =
      candidates.find((file) => isFile(file, name))?.path ??
      (DIRECTORY_SETTING.test(setting) ? directoryOf(candidates, name) : undefined);
    if (place !== undefined) found[name] = place;
  }
  return found;
}

/** The same value with the new places; undefined when nothing in it moved. */
export function movedValue(
  value: unknown,
  placed: Readonly<Record<string, string>>,
  setting: string,
): unknown {
  let moved = false;
  const move = (each: unknown, name: string): unknown => {
    if (typeof each === 'string') {
      const place = isPath(name, each) ? placed[each] : undefined;
      if (place !== undefined) moved = true;
      return place ?? each;
    }
    if (Array.isArray(each)) return each.map((item: unknown) => move(item, name));
    if (!isMap(each)) return each;
    return Object.fromEntries(Object.entries(each).map(([key, child]) => [key, move(child, key)]));
  };
  const result = move(value, setting);
  return moved ? result : undefined;
}

function* named(value: unknown, setting = ''): Generator<readonly [setting: string, name: string]> {
  if (typeof value === 'string') {
    if (isPath(setting, value)) yield [setting, value];
  } else if (Array.isArray(value)) {
    for (const item of value) yield* named(item, setting);
  } else if (isMap(value)) {
    for (const [key, child] of Object.entries(value)) yield* named(child, key);
  }
}

function isPath(setting: string, value: string): boolean {
  return value !== '' && (value.startsWith('/') || FILE_SETTING.test(setting));
}

function isFile({ source, inside }: Placed, name: string): boolean {
  const known = inside ?? source;
  return known === name || (!name.startsWith('/') && known.endsWith(`/${name.replace(/^\.\//, '')}`));
}

/** Of the first file below it, the part of its new place that is left when the part below the directory is taken off. */
function directoryOf(files: readonly Placed[], name: string): string | undefined {
  const prefix = `${name.replace(/^\.\//, '').replace(/\/+$/, '')}/`;
  for (const { path, source, inside } of files) {
    const known = inside ?? source;
    const at = prefix.startsWith('/') ? (known.startsWith(prefix) ? 0 : -1) : known.indexOf(`/${prefix}`);
    if (at < 0) continue;
    const below = known.slice(at + prefix.length + (prefix.startsWith('/') ? 0 : 1));
    if (below !== '' && path.endsWith(`/${below}`)) return path.slice(0, -below.length - 1);
  }
  return undefined;
}
