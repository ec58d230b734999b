import type { Detector } from './layout.ts';

const HOME = '/etc/matrix-synapse';
const CONFIG = `${HOME}/homeserver.yaml`;
/** The package of matrix.org (`matrix-synapse-py3`) brings its own environment; that of Debian (`matrix-synapse`) uses the system's Python. */
const PROGRAMS = ['/opt/venvs/matrix-synapse/bin/python', '/usr/bin/python3'];

/**
 * debian/ of Synapse: the unit starts it with `--config-path=/etc/matrix-synapse/homeserver.yaml
 * --config-path=/etc/matrix-synapse/conf.d/`; server_name stands in conf.d, what debconf asked for too.
 */
export const debian: Detector = async (machine) => {
  if ((await machine.kindOf(CONFIG)) !== 'file') return [];
  const confD = (await machine.kindOf(`${HOME}/conf.d`)) === 'directory' ? [`${HOME}/conf.d`] : [];
  const present: string[] = [];
  for (const path of PROGRAMS) if ((await machine.kindOf(path)) === 'file') present.push(path);
  const [program] = present;
  return [
    {
      layout: 'debian',
      title: 'Debian package',
      because: `${CONFIG} is there`,
      configFiles: [CONFIG, ...confD],
      ...(program === undefined || program === '/usr/bin/python3' ? {} : { program }),
    },
  ];
};
