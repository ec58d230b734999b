import type { Readable, Writable } from 'node:stream';
import { createPacketSplitter } from './framing.ts';
import { REQUEST, VERSION } from './protocol.ts';
import { decodeResponse, decodeVersion, type Response } from './responses.ts';
import { ProtocolError, uint32 } from './wire.ts';

/** One conversation with an SFTP server. Requests need not wait for each other: answers come back in any order, by id. */
export interface Session {
  /** Of the server, with their versions. */
  readonly extensions: ReadonlyMap<string, string>;
  /** The parts are the fields of the request after its id. Errors: what the session was failed with. */
  request(type: number, ...parts: readonly Uint8Array[]): Promise<Response>;
}

export interface SessionStreams {
  readonly input: Readable;
  readonly output: Writable;
  /** Told when the first request is sent and when the last one is answered. */
  readonly onBusy: (busy: boolean) => void;
}

export interface OpeningSession {
  /** Resolves when the server has said which version it speaks. */
  readonly opened: Promise<Session>;
  /** Fails every request in flight and to come; later calls change nothing. */
  fail(error: Error): void;
}

interface Waiting {
  resolve(response: Response): void;
  reject(error: Error): void;
}

/**
 * Greets the server and goes on from there. Who owns the streams tells `fail` when they end; what is no SFTP fails the
 * session by itself, with ProtocolError through `onBroken`.
 */
export function openSession(
  { input, output, onBusy }: SessionStreams,
  onBroken: (error: Error) => void,
): OpeningSession {
  const inFlight = new Map<number, Waiting>();
  const greeting = Promise.withResolvers<Session>();
  let failure: Error | undefined;
  let greeted = false;
  let nextId = 0;

  const send = (type: number, ...parts: readonly Uint8Array[]): void => {
    const length = parts.reduce((sum, part) => sum + part.length, 1);
    // All requests of one turn leave in one system call.
    output.cork();
    output.write(Buffer.concat([uint32(length), Buffer.of(type)]));
    for (const part of parts) output.write(part);
    process.nextTick(() => output.uncork());
  };

  const request = (type: number, ...parts: readonly Uint8Array[]): Promise<Response> => {
    if (failure !== undefined) return Promise.reject(failure);
    const id = nextId;
    // By then the first of four thousand million requests has been answered.
    nextId = (nextId + 1) >>> 0;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    inFlight.set(id, { resolve, reject });
    if (inFlight.size === 1) onBusy(true);
    send(type, uint32(id), ...parts);
    return promise;
  };

  const receive = (packet: Buffer): void => {
    if (!greeted) {
      const { version, extensions } = decodeVersion(packet);
      if (version !== VERSION)
        throw new ProtocolError(`it speaks version ${version} of SFTP, not ${VERSION}`);
      greeted = true;
      greeting.resolve({ extensions, request });
      return;
    }
    const response = decodeResponse(packet);
    const waiting = inFlight.get(response.id);
    if (waiting === undefined)
      throw new ProtocolError(`answer ${response.id}, which nothing has been asked for`);
    inFlight.delete(response.id);
    waiting.resolve(response);
    if (inFlight.size === 0) onBusy(false);
  };

  const fail = (error: Error): void => {
    if (failure !== undefined) return;
    failure = error;
    greeting.reject(error);
    const waiting = [...inFlight.values()];
    inFlight.clear();
    if (waiting.length > 0) onBusy(false);
    for (const each of waiting) each.reject(error);
  };

  const split = createPacketSplitter(receive);
  input.on('data', (piece: Buffer) => {
    if (failure !== undefined) return;
    try {
      split(piece);
    } catch (error) {
      onBroken(error instanceof Error ? error : new ProtocolError(String(error)));
    }
  });
  greeting.promise.catch(() => undefined);
  send(REQUEST.init, uint32(VERSION));
  return { opened: greeting.promise, fail };
}
