import type { Listener } from '../port.ts';
import { invalid, isMap, listAt, type Configuration } from './configuration.ts';

/** TCP listeners of the main process; those on Unix sockets are reached by the reverse proxy alone and are left out. */
export function readListeners(configuration: Configuration): Listener[] {
  return listAt(configuration, 'listeners').flatMap((listener) => {
    if (!isMap(listener)) throw invalid(configuration, 'listeners', 'must be a list of maps');
    const { port, type } = listener;
    if (port === undefined) return [];
    if (typeof port !== 'number')
      throw invalid(configuration, 'listeners', 'has a port that is not a number');
    const names = Array.isArray(listener['resources']) ? listener['resources'].flatMap(namesOf) : [];
    return [
      {
        port,
        tls: listener['tls'] === true,
        // `manhole` and `metrics` listeners have no resources of their own.
        resources:
          type === 'http' || type === undefined
            ? [...new Set(names)]
            : [typeof type === 'string' ? type : '?'],
        bindAddresses: bindAddressesOf(listener),
      },
    ];
  });
}

function namesOf(resource: unknown): string[] {
  const names = isMap(resource) ? resource['names'] : undefined;
  if (typeof names === 'string') return [names];
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
}

/** Synapse's default is every address (synapse/config/server.py, parse_listener_def). */
function bindAddressesOf(listener: Readonly<Record<string, unknown>>): string[] {
  const many = listener['bind_addresses'];
  const one = listener['bind_address'];
  const given = [...(Array.isArray(many) ? many : []), ...(one === undefined ? [] : [one])].filter(
    (address) => typeof address === 'string' && address !== '',
  );
  return given.length > 0 ? (given as string[]) : ['::', '0.0.0.0'];
}
