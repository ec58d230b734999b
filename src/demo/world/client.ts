import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LifeboatError, messageOf } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';

export type Json = Record<string, unknown>;

/** A logged-in device. */
export interface Account {
  readonly userId: string;
  readonly deviceId: string;
  readonly accessToken: string;
  readonly clientUrl: string;
}

/** What people do with a homeserver. Errors: `command-failed`, with the server's own words; `interrupted`. */
export interface MatrixClient {
  readonly account: Account;
  request<Answer = Json>(method: string, path: string, body?: unknown): Promise<Answer>;
  createRoom(options: Json): Promise<string>;
  invite(roomId: string, userId: string): Promise<void>;
  /** A room id or an alias; `via` names servers that know the room. */
  join(room: string, via?: string): Promise<string>;
  send(roomId: string, type: string, content: Json): Promise<string>;
  setState(roomId: string, type: string, content: Json): Promise<void>;
  /** Returns the mxc:// URI. */
  upload(bytes: Uint8Array<ArrayBuffer>, contentType: string, name: string): Promise<string>;
  download(mxc: string): Promise<Uint8Array>;
  thumbnail(mxc: string, width: number, height: number, method: 'crop' | 'scale'): Promise<Uint8Array>;
  /** The newest events of a room, newest first. */
  messages(roomId: string, limit?: number): Promise<Json[]>;
}

const REQUEST_TIMEOUT_MS = 60_000;
/** Federation is being set up while people talk already: what fails at first may do so for a moment only. */
const RETRIED = new Set([429, 502, 503, 504]);
const TRIES = 5;

let transactions = 0;

function createClient(account: Account, signal: AbortSignal | undefined): MatrixClient {
  const { clientUrl, accessToken } = account;
  const call = (method: string, path: string, init: Payload = {}) =>
    callServer(method, `${clientUrl}${path}`, { ...init, accessToken, signal });
  const request = async <Answer>(method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await call(
      method,
      `/_matrix/client/v3${path}`,
      body === undefined ? {} : { body: JSON.stringify(body), contentType: 'application/json' },
    );
    return (await response.json()) as Answer;
  };
  const media = async (path: string) =>
    new Uint8Array(await (await call('GET', `/_matrix/client/v1/media/${path}`)).arrayBuffer());
  const room = (roomId: string) => `/rooms/${encodeURIComponent(roomId)}`;
  return {
    account,
    request,
    createRoom: async (options) =>
      (await request<{ room_id: string }>('POST', '/createRoom', options)).room_id,
    invite: async (roomId, userId) =>
      void (await request('POST', `${room(roomId)}/invite`, { user_id: userId })),
    join: async (target, via) =>
      (
        await request<{ room_id: string }>(
          'POST',
          `/join/${encodeURIComponent(target)}${via === undefined ? '' : `?via=${encodeURIComponent(via)}`}`,
          {},
        )
      ).room_id,
    send: async (roomId, type, content) => {
      transactions += 1;
      const answer = await request<{ event_id: string }>(
        'PUT',
        `${room(roomId)}/send/${type}/demo-${process.pid}-${transactions}`,
        content,
      );
      return answer.event_id;
    },
    setState: async (roomId, type, content) =>
      void (await request('PUT', `${room(roomId)}/state/${type}/`, content)),
    upload: async (body, contentType, name) => {
      const response = await call('POST', `/_matrix/media/v3/upload?filename=${encodeURIComponent(name)}`, {
        body,
        contentType,
      });
      return ((await response.json()) as { content_uri: string }).content_uri;
    },
    download: (mxc) => media(`download/${mxc.slice('mxc://'.length)}`),
    thumbnail: (mxc, width, height, method) =>
      media(`thumbnail/${mxc.slice('mxc://'.length)}?width=${width}&height=${height}&method=${method}`),
    messages: async (roomId, limit = 50) =>
      (await request<{ chunk: Json[] }>('GET', `${room(roomId)}/messages?dir=b&limit=${limit}`)).chunk,
  };
}

/**
 * A new user with one device, by the administrator's shared secret (Synapse's admin API, "Shared-Secret Registration"). The
 * signal ends this and whatever else the client is asked to do.
 */
export async function register(
  clientUrl: string,
  secret: Secret,
  name: string,
  displayName: string,
  signal?: AbortSignal,
): Promise<MatrixClient> {
  const url = `${clientUrl}/_synapse/admin/v1/register`;
  const { nonce } = (await (await callServer('GET', url, { signal })).json()) as { nonce: string };
  const password = `correct horse of ${name}`;
  const mac = createHmac('sha1', secret.reveal())
    .update([nonce, name, password, 'notadmin'].join('\0'))
    .digest('hex');
  const body = JSON.stringify({
    nonce,
    username: name,
    displayname: displayName,
    password,
    admin: false,
    mac,
  });
  const answer = (await (
    await callServer('POST', url, { body, contentType: 'application/json', signal })
  ).json()) as Record<'user_id' | 'device_id' | 'access_token', string>;
  const account = {
    userId: answer.user_id,
    deviceId: answer.device_id,
    accessToken: answer.access_token,
    clientUrl,
  };
  return createClient(account, signal);
}

interface Payload {
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly contentType?: string;
  readonly accessToken?: string;
  readonly signal?: AbortSignal | undefined;
}

async function callServer(
  method: string,
  url: string,
  { body, contentType, accessToken, signal }: Payload,
): Promise<Response> {
  const headers = {
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
    ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
  };
  for (let attempt = 1; ; attempt += 1) {
    const said = await once(method, url, { headers, ...(body === undefined ? {} : { body }) }, signal);
    if (said instanceof Response) return said;
    if (signal?.aborted === true) throw new LifeboatError('interrupted', 'interrupted');
    if (!said.again || attempt === TRIES)
      throw new LifeboatError('command-failed', `${method} ${new URL(url).pathname} failed: ${said.why}`);
    await sleep(200 * attempt);
  }
}

async function once(
  method: string,
  url: string,
  init: RequestInit,
  signal: AbortSignal | undefined,
): Promise<Response | { again: boolean; why: string }> {
  try {
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const ending = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
    const response = await fetch(url, { ...init, method, signal: ending });
    if (response.ok) return response;
    return {
      again: RETRIED.has(response.status),
      why: `${response.status} ${(await response.text()).slice(0, 300)}`,
    };
  } catch (error) {
    return { again: true, why: messageOf(error) };
  }
}
