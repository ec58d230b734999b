import { networkInterfaces } from 'node:os';
import { LifeboatError } from '../../core/errors.ts';
import type { EscapeAttempt } from '../port.ts';
import type { EscapeTarget } from './protocol.ts';

/**
 * Every kind of way out, to be tried from inside by the sandbox' user: the internet, private networks, a cloud's metadata,
 * this machine by its own addresses, names, routes, and the files and sockets that would give the machine away.
 */
export function waysOut(): EscapeTarget[] {
  return [
    { how: 'tcp', to: '1.1.1.1', port: 443 },
    { how: 'tcp', to: '8.8.8.8', port: 53 },
    { how: 'tcp', to: '10.0.0.1', port: 80 },
    { how: 'tcp', to: '192.168.0.1', port: 80 },
    { how: 'tcp', to: '169.254.169.254', port: 80 },
    { how: 'tcp', to: '2606:4700:4700::1111', port: 443 },
    ...ownAddresses().map((to): EscapeTarget => ({ how: 'tcp', to, port: 22 })),
    { how: 'udp', to: '8.8.8.8', port: 53 },
    // A name that exists, and that no homeserver has a reason to ask for: look-ups of ours must not hide one of the copy's.
    { how: 'dns', to: 'www.iana.org', port: 0 },
    { how: 'route', to: 'anywhere', port: 0 },
    { how: 'file', to: '/etc/shadow', port: 0 },
    { how: 'socket', to: '/var/run/postgresql/.s.PGSQL.5432', port: 0 },
    { how: 'socket', to: '/var/run/docker.sock', port: 0 },
  ];
}

/** Errors: `not-sealed`, naming what could be reached. */
export function requireSealed(attempts: readonly EscapeAttempt[]): void {
  const escaped = attempts
    .filter((attempt) => attempt.escaped)
    .map(({ target, observed }) => `${target} (${observed})`);
  if (escaped.length === 0) return;
  throw new LifeboatError(
    'not-sealed',
    `the environment is not sealed: from inside one reaches ${escaped.join(', ')}`,
    {
      hint: 'A restored server would talk to the real federation. Report this with the output of `lifeboat doctor`.',
    },
  );
}

/** Link-local addresses need an interface name with them, and no interface of ours is inside. */
function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all
    .filter(({ internal, scopeid }) => !internal && (scopeid ?? 0) === 0)
    .map(({ address }) => address);
}
