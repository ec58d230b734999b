import { dirname, join } from 'node:path';
import { filesIn, type Machine } from './machine.ts';

/** Highest first (systemd.unit(5)): what an administrator writes wins over what a package brings. */
const UNIT_DIRECTORIES = [
  '/etc/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];

/** Environment files of the init systems that came before, and of Debian's unit. */
const DEFAULTS = ['/etc/default/matrix-synapse', '/etc/sysconfig/matrix-synapse', '/etc/sysconfig/synapse'];

export interface UnitFiles {
  readonly units: readonly string[];
  /** What they name by `EnvironmentFile=`. */
  readonly environment: readonly string[];
}

/** Units that start this homeserver, its workers or its containers: those that name its configuration's directory, or Synapse itself. */
export async function findUnits(machine: Machine, configFiles: readonly string[]): Promise<UnitFiles> {
  const directories = [...new Set(configFiles.map((path) => dirname(path)))].filter((path) => path !== '/');
  const names = new Set<string>();
  const units: string[] = [];
  for (const path of await filesIn(machine, UNIT_DIRECTORIES, (name) =>
    /\.(?:service|target|timer)$/.test(name),
  )) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const text = await machine.read(path);
    if (text === undefined || names.has(name)) continue;
    if (!name.startsWith('matrix-synapse') && !directories.some((directory) => mentions(text, directory)))
      continue;
    names.add(name);
    units.push(path);
  }
  const dropIns = await filesIn(
    machine,
    UNIT_DIRECTORIES.flatMap((directory) => [...names].map((name) => join(directory, `${name}.d`))),
    (name) => name.endsWith('.conf'),
  );
  const all = [...units, ...dropIns];
  const environment = new Set<string>();
  for (const path of all)
    for (const file of environmentFiles((await machine.read(path)) ?? '')) environment.add(file);
  if (units.length > 0) for (const path of DEFAULTS) environment.add(path);
  const present: string[] = [];
  for (const path of environment) if ((await machine.kindOf(path)) === 'file') present.push(path);
  return { units: all, environment: present };
}

/** `EnvironmentFile=-/etc/default/x`: the dash says that it may be missing. Names with a specifier (`%i`) stand for many files. */
export function environmentFiles(unit: string): string[] {
  return [...unit.matchAll(/^\s*EnvironmentFile\s*=\s*-?(\/[^\s%*?]+)\s*$/gm)].map((match) => match[1]!);
}

/** As a whole path: `/etc/synapse` is not mentioned by `/etc/synapse-admin`. */
function mentions(text: string, path: string): boolean {
  const escaped = path.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`${escaped}(?![\\w.-])`).test(text);
}
