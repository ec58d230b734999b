import { LifeboatError } from '../../core/errors.ts';
import { parseServerName, type ServerName } from './server-name.ts';

/** Where a server's federation API is. */
export interface ServerAddress {
  /** Name or address to connect to. */
  readonly host: string;
  readonly port: number;
  /** The certificate must be valid for this name or address. */
  readonly tlsName: string;
  readonly hostHeader: string;
  /** The step of the specification that decided. */
  readonly via: 'address' | 'port' | 'well-known' | 'srv' | 'srv-legacy' | 'default-port';
}

/** The outside world of server discovery. Neither throws: what cannot be had is undefined or empty. */
export interface Resolvers {
  /** `m.server` of `https://<host>/.well-known/matrix/server`. */
  wellKnown(host: string): Promise<string | undefined>;
  srv(name: string): Promise<readonly SrvRecord[]>;
}

export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

const DEFAULT_PORT = 8448;

/**
 * Specification, server-server API, "Resolving server names", in its order: an address or an explicit port is taken as it
 * stands; otherwise .well-known may delegate (once) to another name; otherwise SRV, otherwise port 8448.
 * Errors: `usage` when `name` is no server name.
 */
export async function discoverServer(name: string, resolvers: Resolvers): Promise<ServerAddress> {
  const parsed = parseServerName(name);
  if (parsed === undefined) throw new LifeboatError('usage', `${name} is not a Matrix server name`);
  if (isComplete(parsed)) return direct(name, parsed);
  const delegate = await resolvers.wellKnown(parsed.host);
  const delegated = delegate === undefined ? undefined : parseServerName(delegate);
  if (delegated === undefined) return await bySrv(parsed.host, resolvers);
  if (isComplete(delegated)) return { ...direct(delegate!, delegated), via: 'well-known' };
  const found = await bySrv(delegated.host, resolvers);
  return found.via === 'default-port' ? { ...found, via: 'well-known' } : found;
}

function isComplete(name: ServerName): boolean {
  return name.isAddress || name.port !== undefined;
}

function direct(name: string, { host, port, isAddress }: ServerName): ServerAddress {
  return {
    host,
    port: port ?? DEFAULT_PORT,
    tlsName: host,
    hostHeader: name,
    via: isAddress ? 'address' : 'port',
  };
}

/** The certificate and the Host header are those of the name that was asked for, never of the SRV target. */
async function bySrv(host: string, resolvers: Resolvers): Promise<ServerAddress> {
  for (const [service, via] of [
    ['_matrix-fed._tcp', 'srv'],
    ['_matrix._tcp', 'srv-legacy'],
  ] as const) {
    const target = preferred(await resolvers.srv(`${service}.${host}`));
    if (target !== undefined)
      return { host: target.name, port: target.port, tlsName: host, hostHeader: host, via };
  }
  return { host, port: DEFAULT_PORT, tlsName: host, hostHeader: host, via: 'default-port' };
}

/** RFC 2782: lowest priority first; among equals the heaviest, instead of a draw. A lone `.` means "no such service". */
function preferred(records: readonly SrvRecord[]): SrvRecord | undefined {
  return records
    .filter(({ name }) => name !== '' && name !== '.')
    .toSorted((a, b) => a.priority - b.priority || b.weight - a.weight)[0];
}
