import { dirname, join } from 'node:path';
import { readCompose, type ComposeProject, type ComposeService } from '../surroundings/compose.ts';
import type { Machine } from '../surroundings/machine.ts';
import type { Detector, FoundLayout } from './layout.ts';

/** Where people keep compose projects: a directory in one of these. */
const SHELVES = ['/opt', '/srv', '/root', '/home', '/docker', '/var/docker'];
/** `docker volume inspect` says Mountpoint; this is its default. */
const VOLUMES = '/var/lib/docker/volumes';

/** docker/README.md of Synapse: one volume at /data, homeserver.yaml named by SYNAPSE_CONFIG_PATH, or below SYNAPSE_CONFIG_DIR. */
export const compose: Detector = async (machine, directory) => {
  const found: FoundLayout[] = [];
  for (const place of await places(machine, directory)) {
    const project = await readCompose(machine, place);
    if (project?.synapse === undefined) continue;
    const layout = await layoutOf(machine, project, project.synapse);
    if (layout !== undefined) found.push(layout);
  }
  return found;
};

async function places(machine: Machine, directory: string): Promise<string[]> {
  const shelves = [...SHELVES, ...(await machine.list('/home')).map((name) => join('/home', name))];
  const below = await Promise.all(
    shelves.map(async (shelf) => (await machine.list(shelf)).map((name) => join(shelf, name))),
  );
  return [...new Set([directory, ...shelves, ...below.flat()])];
}

async function layoutOf(
  machine: Machine,
  project: ComposeProject,
  synapse: ComposeService,
): Promise<FoundLayout | undefined> {
  const paths: Record<string, string> = { ...synapse.binds };
  for (const [inside, volume] of Object.entries(synapse.volumes)) {
    const place = await volumeOf(machine, project.name, volume);
    if (place !== undefined) paths[inside] = place;
  }
  const { environment, container } = synapse;
  const inside =
    environment['SYNAPSE_CONFIG_PATH'] ??
    join(environment['SYNAPSE_CONFIG_DIR'] ?? '/data', 'homeserver.yaml');
  const mount = Object.keys(paths)
    .filter((each) => inside === each || inside.startsWith(`${each}/`))
    .toSorted((a, b) => b.length - a.length)[0];
  if (mount === undefined) return undefined;
  const config = `${paths[mount]}${inside.slice(mount.length)}`;
  if ((await machine.kindOf(config)) !== 'file') return undefined;
  const { postgres } = project;
  return {
    layout: 'compose',
    title: 'docker compose',
    because: `${project.files[0]} has the service ${synapse.name} of the image ${synapse.image}`,
    configFiles: [config],
    paths,
    container: container ?? `${project.name}-${synapse.name}-1`,
    ...(postgres === undefined
      ? {}
      : { databaseVia: { docker: postgres.container ?? `${project.name}-${postgres.name}-1` } }),
    ...(isBeside(project, config) ? {} : { extra: [...project.files, ...project.environmentFiles] }),
  };
}

/** A project further away than the search for what surrounds a configuration goes (surroundings/compose.ts) is named in lifeboat.yaml. */
function isBeside({ directory }: ComposeProject, config: string): boolean {
  let place = dirname(config);
  for (let up = 0; up < 4; up += 1, place = dirname(place)) if (place === directory) return true;
  return false;
}

async function volumeOf(machine: Machine, project: string, volume: string): Promise<string | undefined> {
  for (const name of [`${project}_${volume}`, volume]) {
    const place = join(VOLUMES, name, '_data');
    if ((await machine.kindOf(place)) === 'directory') return place;
  }
  return undefined;
}
