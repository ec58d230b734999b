import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { eventFault, type PublicKeys } from '../events/check-event.ts';
import { eventId } from '../events/hashes.ts';
import { asArray, asObject, asText, type JsonObject } from '../events/json.ts';
import type { RoomVersion } from '../events/room-versions.ts';
import type { Signer } from '../events/signatures.ts';
import { parseXMatrix, verifyXMatrix } from '../events/x-matrix.ts';
import { keyDocument } from './identity.ts';

/** An event that the homeserver under test has sent to the probe. */
interface ReceivedEvent {
  readonly eventId: string;
  readonly event: JsonObject;
  /** What is wrong with it; undefined when hash, id and signature verify. */
  readonly fault: string | undefined;
}

export interface ProbeServer {
  /** Hands it a raw connection, as a listening socket would. */
  accept(socket: Duplex): void;
  /** Events of other rooms cannot be verified and are dropped. */
  addRoom(roomId: string, version: RoomVersion): void;
  /** What the probe itself has sent: other servers may ask for it. */
  addOwnEvent(eventId: string, event: JsonObject): void;
  readonly received: readonly ReceivedEvent[];
  /** Requests that were not signed by the homeserver's key, as phrases. */
  readonly refused: readonly string[];
  close(): void;
}

export interface ProbeServerOptions {
  readonly identity: Signer;
  readonly certificate: { readonly certificatePem: string; readonly keyPem: string };
  /** The only server it talks to, and its keys: those of the backup. */
  readonly peer: { readonly name: string; readonly keys: PublicKeys };
}

/** A transaction has at most 50 events of 64 KiB and 100 EDUs (specification, "Transactions"). */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** The probe as other servers see it: enough of the server-server API to be believed. */
export function createProbeServer(options: ProbeServerOptions): ProbeServer {
  const state: State = { ...options, rooms: new Map(), own: new Map(), received: [], refused: [] };
  const sockets = new Set<Duplex>();
  const { certificatePem: cert, keyPem: key } = options.certificate;
  const server = createServer({ cert, key }, (request, response) => {
    answer(request, state).then(
      ({ status, json }) => reply(response, status, json),
      () => reply(response, 400, { errcode: 'M_NOT_JSON', error: 'unreadable request' }),
    );
  });
  server.on('tlsClientError', () => {});
  return {
    accept(socket) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
      server.emit('connection', socket);
    },
    addRoom: (roomId, version) => state.rooms.set(roomId, version),
    addOwnEvent: (id, event) => state.own.set(id, event),
    received: state.received,
    refused: state.refused,
    close() {
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
    },
  };
}

interface State extends ProbeServerOptions {
  readonly rooms: Map<string, RoomVersion>;
  readonly own: Map<string, JsonObject>;
  readonly received: ReceivedEvent[];
  readonly refused: string[];
}

interface Answer {
  readonly status: number;
  readonly json: JsonObject;
}

const NOT_FOUND: Answer = {
  status: 404,
  json: { errcode: 'M_NOT_FOUND', error: 'the probe does not have this' },
};

async function answer(request: IncomingMessage, state: State): Promise<Answer> {
  const uri = request.url ?? '/';
  const method = request.method ?? 'GET';
  const path = uri.split('?')[0]!;
  if (path === '/.well-known/matrix/server') return ok({ 'm.server': state.identity.name });
  if (path.startsWith('/_matrix/key/v2/server')) return ok(keyDocument(state.identity, new Date()));
  if (path === '/_matrix/federation/v1/version')
    return ok({ server: { name: 'Lifeboat probe', version: '1' } });
  const content = await readContent(request);
  if (!isFromPeer(request, { method, uri, content }, state)) {
    state.refused.push(`${method} ${path} was not signed with a key of the backup`);
    return { status: 401, json: { errcode: 'M_UNAUTHORIZED', error: 'the signature does not verify' } };
  }
  return answerSigned(method, path, new URLSearchParams(uri.split('?')[1]), asObject(content) ?? {}, state);
}

function answerSigned(
  method: string,
  path: string,
  query: URLSearchParams,
  content: JsonObject,
  state: State,
): Answer {
  const [, name, argument = ''] =
    /^\/_matrix\/federation\/v\d\/((?:query|user)\/\w+(?:\/query)?|\w+)(?:\/(.*))?$/.exec(path) ?? [];
  const origin = { origin: state.identity.name, origin_server_ts: Date.now() };
  switch (`${method} ${name}`) {
    case 'PUT send':
      return ok({
        pdus: Object.fromEntries(
          asArray(content['pdus']).flatMap((event) => receive(asObject(event) ?? {}, state)),
        ),
      });
    case 'GET event': {
      const event = state.own.get(decodeURIComponent(argument));
      return event === undefined ? NOT_FOUND : ok({ ...origin, pdus: [event] });
    }
    case 'GET state':
      return ok({ pdus: [], auth_chain: [] });
    case 'GET state_ids':
      return ok({ pdu_ids: [], auth_chain_ids: [] });
    case 'GET backfill':
      return ok({ ...origin, pdus: query.getAll('v').flatMap((id) => state.own.get(id) ?? []) });
    case 'POST get_missing_events':
      return ok({ events: [] });
    case 'GET query/profile':
      return ok({ displayname: 'Lifeboat probe' });
    case 'GET user/devices':
      return ok({ user_id: decodeURIComponent(argument), stream_id: 1, devices: [] });
    case 'POST user/keys/query':
      return ok({ device_keys: {} });
    default:
      return { status: 404, json: { errcode: 'M_UNRECOGNIZED', error: 'the probe does not do this' } };
  }
}

/** Keeps an event and says so to its sender; one that does not verify is kept as well, with its fault. */
function receive(event: JsonObject, state: State): [string, JsonObject][] {
  const version = state.rooms.get(asText(event['room_id']) ?? '');
  if (version === undefined) return [];
  const id = eventId(event, version) ?? '';
  const fault = eventFault(event, version, state.peer.name, state.peer.keys);
  state.received.push({ eventId: id, event, fault });
  return [[id, fault === undefined ? {} : { error: fault }]];
}

function isFromPeer(
  request: IncomingMessage,
  { method, uri, content }: { method: string; uri: string; content: unknown },
  state: State,
): boolean {
  const header = parseXMatrix(request.headers.authorization ?? '');
  const key = header === undefined ? undefined : state.peer.keys.get(header.key);
  if (header === undefined || key === undefined) return false;
  const signed = {
    method,
    uri,
    origin: state.peer.name,
    destination: state.identity.name,
    ...(content === undefined ? {} : { content }),
  };
  return verifyXMatrix(signed, header, key);
}

async function readContent(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new RangeError('the request is too long');
    chunks.push(chunk);
  }
  return bytes === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

function ok(json: JsonObject): Answer {
  return { status: 200, json };
}

function reply(response: ServerResponse, status: number, json: JsonObject): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
}
