import { join } from 'node:path';
import type { Machine } from '../surroundings/machine.ts';
import type { Detector } from './layout.ts';

const BASE = '/matrix';
const CONFIG = `${BASE}/synapse/config/homeserver.yaml`;
const UNIT = '/etc/systemd/system/matrix-synapse.service';
/** The playbook's own (roles/custom/matrix-synapse), where its unit is not to be read. */
const MOUNTS = { '/data': `${BASE}/synapse/config`, '/matrix-media-store-parent': `${BASE}/synapse/storage` };

/** matrix-docker-ansible-deploy: containers made by systemd units, all below /matrix. */
export const ansible: Detector = async (machine) => {
  if ((await machine.kindOf(CONFIG)) !== 'file') return [];
  const unit = await machine.read(UNIT);
  const hasPostgres = (await machine.kindOf(`${BASE}/postgres`)) === 'directory';
  return [
    {
      layout: 'ansible',
      title: 'matrix-docker-ansible-deploy',
      because: `${CONFIG} is there`,
      configFiles: [CONFIG],
      paths: unit === undefined ? MOUNTS : { ...MOUNTS, ...mountsOf(unit) },
      container: 'matrix-synapse',
      ...(hasPostgres ? { databaseVia: { docker: 'matrix-postgres' } } : {}),
      extra: await patterns(machine),
      notes: [
        'vars.yml and the inventory of the playbook lie where it is run from: keep them in version control, or name them in config.extra',
      ],
    },
  ];
};

/** `--mount type=bind,src=A,dst=B,...` and `-v A:B:ro` (or `--volume`). */
export function mountsOf(unit: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, options] of unit.matchAll(/--mount[= ](\S+)/g)) {
    const fields = Object.fromEntries(
      options!.split(',').map((field) => field.split('=') as [string, string]),
    );
    const source = fields['src'] ?? fields['source'];
    const target = fields['dst'] ?? fields['target'] ?? fields['destination'];
    if (fields['type'] === 'bind' && source !== undefined && target !== undefined) found[target] = source;
  }
  for (const [, source, target] of unit.matchAll(/(?:-v|--volume)[= ](\/[^\s:]+):(\/[^\s:]+)/g))
    found[target!] = source!;
  return found;
}

/** Environment and label files of all its services, and its units: what the playbook would have to make again. */
async function patterns(machine: Machine): Promise<string[]> {
  const services = await machine.list(BASE);
  const names = (await Promise.all(services.map((name) => machine.list(join(BASE, name))))).flat();
  const units = await machine.list('/etc/systemd/system');
  return [
    ...(names.some((name) => name.startsWith('env')) ? [`${BASE}/*/env*`] : []),
    ...(names.includes('labels') ? [`${BASE}/*/labels`] : []),
    ...(units.some((name) => name.startsWith('matrix-')) ? ['/etc/systemd/system/matrix-*'] : []),
  ];
}
