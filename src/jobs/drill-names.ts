import { randomBytes } from 'node:crypto';
import { LifeboatError } from '../core/errors.ts';
import { parseServerName } from '../verify/probe/server-name.ts';

/** Who is called what inside the sealed environment, and where it listens on its loopback. */
export interface DrillNames {
  /** Host part of the restored server's name. */
  readonly host: string;
  readonly federationPort: number;
  readonly clientPort: number;
  /** The probe's and the second homeserver's names: new in each drill, or old queues for them would come along. */
  readonly probe: string;
  readonly probePort: number;
  readonly peer: string;
  readonly peerPort: number;
  readonly peerClientPort: number;
  /** All that resolve to 127.0.0.1. */
  readonly hostNames: readonly string[];
  readonly srv: Readonly<Record<string, { readonly target: string; readonly port: number }>>;
  /** True when other servers look for a delegation of the name first (specification, "Server discovery"). */
  readonly delegated: boolean;
}

const FEDERATION_PORT = 8448;

/**
 * A name without a port is looked up at .well-known, then as SRV, then at port 8448. Inside, all three lead to the restored
 * server; where the real delegation points does not matter, and is not part of a backup.
 */
export function drillNames(serverName: string): DrillNames {
  const parsed = parseServerName(serverName);
  if (parsed === undefined)
    throw new LifeboatError('drill-impossible', `${serverName} is not the name of a Matrix server`);
  const { host, port } = parsed;
  const federationPort = port ?? FEDERATION_PORT;
  const [clientPort, probePort, peerPort, peerClientPort] = freePorts(federationPort, 4);
  const unique = randomBytes(4).toString('hex');
  const [probeHost, peerHost] = [`probe-${unique}.drill.invalid`, `peer-${unique}.drill.invalid`];
  const delegated = port === undefined && !parsed.isAddress;
  return {
    host,
    federationPort,
    clientPort: clientPort!,
    probe: `${probeHost}:${probePort}`,
    probePort: probePort!,
    peer: `${peerHost}:${peerPort}`,
    peerPort: peerPort!,
    peerClientPort: peerClientPort!,
    hostNames: [...(parsed.isAddress ? [] : [host]), probeHost, peerHost],
    srv: delegated ? { [`_matrix-fed._tcp.${host}`]: { target: host, port: federationPort } } : {},
    delegated,
  };
}

/** Of the sandbox' own loopback, so any will do but the restored server's. */
function freePorts(taken: number, count: number): number[] {
  const first = 18_008;
  return Array.from({ length: count + 1 }, (_, index) => first + index)
    .filter((port) => port !== taken)
    .slice(0, count);
}
