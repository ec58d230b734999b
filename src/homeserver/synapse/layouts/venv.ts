import { join } from 'node:path';
import type { Machine } from '../surroundings/machine.ts';
import type { Detector } from './layout.ts';

/** docs/setup/installation.md of Synapse: `~/synapse/env`, and homeserver.yaml beside it. Others call the environment otherwise. */
const ENVIRONMENTS = ['env', 'venv', '.venv'];
const PLACES = ['/opt/synapse', '/srv/synapse', '/root/synapse', '/var/lib/synapse', '/usr/local/synapse'];

export const venv: Detector = async (machine, directory) => {
  const homes = (await machine.list('/home')).map((name) => join('/home', name, 'synapse'));
  const places = [...new Set([directory, ...PLACES, ...homes])];
  const found = await Promise.all(
    places.map(async (place) => ({ place, program: await programIn(machine, place) })),
  );
  return found.flatMap(({ place, program }) =>
    program === undefined
      ? []
      : [
          {
            layout: 'venv' as const,
            title: 'virtual environment',
            because: `${place} has homeserver.yaml and ${program}`,
            configFiles: [join(place, 'homeserver.yaml')],
            program,
          },
        ],
  );
};

/** Only one with Synapse in it: `bin/synapse_homeserver` is what pip makes of its entry points. */
async function programIn(machine: Machine, place: string): Promise<string | undefined> {
  if ((await machine.kindOf(join(place, 'homeserver.yaml'))) !== 'file') return undefined;
  for (const name of ENVIRONMENTS) {
    const bin = join(place, name, 'bin');
    if ((await machine.kindOf(join(bin, 'synapse_homeserver'))) === 'file') return join(bin, 'python');
  }
  return undefined;
}
