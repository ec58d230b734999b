import { join } from 'node:path';
import type { Detector } from './layout.ts';

/** What the pod mounts (templates/synapse/_synapse_pod.tpl of element-hq/ess-helm): rendered configuration, secrets, registrations, media. */
const MOUNTS = ['/conf', '/secrets', '/as', '/media'];

/**
 * Element Server Suite's chart: in a pod with the same volumes as Synapse's (then the directory is `/`), or exported into a
 * directory, with the values.
 */
export const helm: Detector = async (machine, directory) => {
  for (const base of new Set(['/', directory])) {
    const config = join(base, 'conf/homeserver.yaml');
    const text = (await machine.read(config)) ?? '';
    if (!/^signing_key_path:\s*["']?\/secrets\//m.test(text)) continue;
    const mounts: [string, string][] = [];
    for (const mount of MOUNTS)
      if ((await machine.kindOf(join(base, mount))) === 'directory') mounts.push([mount, join(base, mount)]);
    const values = (await machine.list(base)).some((name) => /^values.*\.ya?ml$/.test(name));
    // `RELEASE-postgres.NAMESPACE.svc.cluster.local`: the chart's own database, a stateful set.
    const [, release, namespace] = /host:\s*["']?([\w-]+)-postgres\.([\w-]+)\.svc\./.exec(text) ?? [];
    return [
      {
        layout: 'helm',
        title: "Element's Helm chart",
        because: `${config} names its signing key in /secrets`,
        configFiles: [config],
        ...(base === '/' ? {} : { paths: Object.fromEntries(mounts) }),
        ...(base === '/' || release === undefined || namespace === undefined
          ? {}
          : { databaseVia: { kubectl: { pod: `${release}-postgres-0`, namespace } } }),
        ...(values && base !== '/' ? { extra: [join(base, 'values*.y*ml')] } : {}),
        notes: [
          'name a Python with the same Synapse as homeserver.program: the image of the pod is not on this machine',
          ...(mounts.some(([mount]) => mount === '/media')
            ? []
            : ['mount or sync the media volume, and name it as media.path']),
        ],
      },
    ];
  }
  return [];
};
