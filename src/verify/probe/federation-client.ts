import type { IncomingMessage } from 'node:http';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import type { Duplex } from 'node:stream';
import type { Signer } from '../events/signatures.ts';
import { xMatrixHeader } from '../events/x-matrix.ts';
import { openResponse, requestJson, type JsonResponse } from './http.ts';
import { parseServerName } from './server-name.ts';

/** The homeserver under test, as other servers reach it. */
export interface FederationTarget {
  readonly serverName: string;
  /** A raw connection to its federation port. */
  readonly connect: () => Promise<Duplex>;
  /** Certificate authority that its certificate must come from; undefined: those of the system. */
  readonly caPem: string | undefined;
  readonly timeoutMs: number;
}

export interface CallOptions {
  /** Default: the probe itself. `undefined` sends the request without a signature. */
  readonly signer?: Signer | undefined;
  /** Named in the signature as the server that the request is for. */
  readonly destination?: string;
}

export interface FederationClient {
  readonly target: FederationTarget;
  call(method: string, path: string, content?: unknown, options?: CallOptions): Promise<JsonResponse>;
  /** A signed GET whose body streams. */
  open(path: string, signal: AbortSignal): Promise<IncomingMessage>;
}

export function federationClient(target: FederationTarget, identity: Signer): FederationClient {
  const connect = async () => await secure(target);
  const prepare = (method: string, path: string, content: unknown, options: CallOptions) => {
    const signer = 'signer' in options ? options.signer : identity;
    const signed = {
      method,
      uri: path,
      destination: options.destination ?? target.serverName,
      ...(content === undefined ? {} : { content }),
    };
    const authorization = signer === undefined ? {} : { authorization: xMatrixHeader(signed, signer) };
    return {
      method,
      path,
      headers: { host: target.serverName, ...authorization },
      json: content,
      timeoutMs: target.timeoutMs,
    };
  };
  return {
    target,
    call: async (method, path, content, options = {}) =>
      await requestJson(connect, prepare(method, path, content, options)),
    open: async (path, signal) => await openResponse(connect, prepare('GET', path, undefined, {}), signal),
  };
}

/**
 * A TLS connection under the server's own name. It is made even if the certificate is wrong: that is a finding of its own
 * (`federation.tls-certificate`), and must not hide all the others.
 */
export async function secure(target: FederationTarget): Promise<TLSSocket> {
  const socket = await target.connect();
  const name = parseServerName(target.serverName);
  return await new Promise((resolve, reject) => {
    const secured = tlsConnect({
      socket,
      rejectUnauthorized: false,
      host: name?.host ?? target.serverName,
      // RFC 6066: no addresses in the server name extension.
      ...(name === undefined || name.isAddress ? {} : { servername: name.host }),
      ...(target.caPem === undefined ? {} : { ca: target.caPem }),
    });
    secured.once('secureConnect', () => resolve(secured)).once('error', reject);
    socket.once('close', () => reject(new Error('the connection was closed during the TLS handshake')));
  });
}
