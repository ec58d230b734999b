import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { systemClock, type Clock } from '../../core/clock.ts';
import type { Secret } from '../../core/secret.ts';
import type { PublicSigningKey } from '../../repository/manifest.ts';
import type { Check } from '../../restore/step.ts';
import type { PublicKeys } from '../events/check-event.ts';
import type { JsonObject } from '../events/json.ts';
import type { Signer } from '../events/signatures.ts';
import { publicKeysOf } from '../events/verify-old-events.ts';
import type { ServerAddress } from './discovery.ts';
import { federationClient, type FederationClient } from './federation-client.ts';
import type { JsonResponse } from './http.ts';
import { newIdentity } from './identity.ts';
import { observe, type Finding } from './observe.ts';
import { createProbeServer, type ProbeServer } from './probe-server.ts';
import { parseServerName } from './server-name.ts';

export interface FederationProbeOptions {
  readonly serverName: string;
  /** Of the backup: the current ones, and old ones that the server should still declare. */
  readonly publicKeys: readonly PublicSigningKey[];
  /** A raw connection to the homeserver's federation port (TLS). */
  readonly connectFederation: () => Promise<Duplex>;
  /** From server discovery, where a live server's name leads elsewhere. Default: the server name itself. */
  readonly address?: Pick<ServerAddress, 'tlsName' | 'hostHeader'> | undefined;
  /** A raw connection to its client port (plain HTTP). */
  readonly connectClient: () => Promise<Duplex>;
  /** Connections that the homeserver makes to the probe's name and port arrive at `onConnection`. */
  readonly listen: (port: number, onConnection: (socket: Duplex) => void) => Promise<void>;
  /**
   * A name that the homeserver has never met, else its old queue for that name comes along. With a port, no .well-known and
   * no SRV is asked for; in a sandbox that has one loopback for both it must not be a port of the homeserver.
   */
  readonly probeName: string;
  readonly certificate: { readonly certificatePem: string; readonly keyPem: string };
  /** Signs the homeserver's certificate; undefined: the system's authorities. */
  readonly caPem: string | undefined;
  readonly registrationSecret: Secret;
  readonly samples: ProbeSamples;
  /** Default: 11 and 12 as far as the server knows them, and the server's default. */
  readonly roomVersions?: readonly string[] | undefined;
  /** For every request. Default 15 s. */
  readonly timeoutMs?: number | undefined;
  readonly progress?: ((message: string) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/** Drawn from the restored database: users that are not deactivated, media that are not quarantined. */
export interface ProbeSamples {
  readonly users: readonly string[];
  readonly aliases: readonly string[];
  readonly media: readonly MediaSample[];
}

export interface MediaSample {
  readonly mediaId: string;
  /** Hex; null where the database has none (rows older than Synapse 1.127): then only the size is compared. */
  readonly sha256: string | null;
  readonly sizeBytes: number;
}

/** What the checks share. */
export interface Probe {
  readonly options: FederationProbeOptions;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly identity: Signer;
  /** Keys of the homeserver under test, from the backup. */
  readonly peerKeys: PublicKeys;
  readonly federation: FederationClient;
  readonly server: ProbeServer;
  readonly userId: string;
  sendTransaction(events: readonly JsonObject[]): Promise<JsonResponse>;
  observe(id: string, title: string, look: () => Promise<Finding>): Promise<Check>;
}

const DEFAULT_TIMEOUT_MS = 15_000;
const FEDERATION_PORT = 8448;

/** Brings the probe up: from then on the homeserver can fetch its key. */
export async function startProbe(options: FederationProbeOptions): Promise<Probe> {
  const {
    serverName,
    probeName,
    certificate,
    caPem,
    clock = systemClock,
    timeoutMs = DEFAULT_TIMEOUT_MS,
  } = options;
  const identity = newIdentity(probeName);
  const peerKeys = publicKeysOf(options.publicKeys);
  const { tlsName, hostHeader } = options.address ?? {
    tlsName: parseServerName(serverName)?.host ?? serverName,
    hostHeader: serverName,
  };
  const target = { serverName, tlsName, hostHeader, connect: options.connectFederation, caPem, timeoutMs };
  const federation = federationClient(target, identity);
  const server = createProbeServer({ identity, certificate, peer: { name: serverName, keys: peerKeys } });
  await options.listen(parseServerName(probeName)?.port ?? FEDERATION_PORT, (socket) =>
    server.accept(socket),
  );
  return {
    options,
    clock,
    timeoutMs,
    identity,
    peerKeys,
    federation,
    server,
    userId: `@probe:${probeName}`,
    async sendTransaction(events) {
      const content = { origin: probeName, origin_server_ts: clock.now().getTime(), pdus: events };
      return await federation.call(
        'PUT',
        `/_matrix/federation/v1/send/${randomBytes(8).toString('hex')}`,
        content,
      );
    },
    async observe(id, title, look) {
      options.progress?.(title);
      return await observe(clock, id, title, look);
    },
  };
}
