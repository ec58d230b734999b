import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import type { Duplex } from 'node:stream';
import { LifeboatError } from '../../core/errors.ts';
import type { Signer } from '../events/signatures.ts';
import { xMatrixHeader } from '../events/x-matrix.ts';
import { openResponse, requestJson, type JsonResponse } from './http.ts';

/** The homeserver under test, as other servers reach it. */
export interface FederationTarget {
  readonly serverName: string;
  /** Its certificate must be valid for this name or address. */
  readonly tlsName: string;
  readonly hostHeader: string;
  /** A raw connection to its federation port. */
  readonly connect: () => Promise<Duplex>;
  /** Certificate authority that its certificate must come from; undefined: those of the system. */
  readonly caPem: string | undefined;
  readonly timeoutMs: number;
}

interface CallOptions {
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
  const connect = async (signal: AbortSignal) => await secure(target, signal);
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
      headers: { host: target.hostHeader, ...authorization },
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
export async function secure(target: FederationTarget, signal: AbortSignal): Promise<TLSSocket> {
  const socket = await target.connect();
  const { tlsName } = target;
  const secured = tlsConnect({
    socket,
    rejectUnauthorized: false,
    host: tlsName,
    // RFC 6066: no addresses in the server name extension.
    ...(isIP(tlsName) === 0 ? { servername: tlsName } : {}),
    ...(target.caPem === undefined ? {} : { ca: target.caPem }),
  });
  const giveUp = () => secured.destroy();
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  return await new Promise((resolve, reject) => {
    secured.once('secureConnect', () => resolve(secured)).on('error', reject);
    secured.once('close', () =>
      reject(new LifeboatError('drill-failed', 'the connection was closed during the TLS handshake')),
    );
    socket.once('error', (cause) => secured.destroy(cause));
  });
}
