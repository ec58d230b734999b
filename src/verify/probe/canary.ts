import { createHmac, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Duplex } from 'node:stream';
import { LifeboatError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import { asArray, asObject, asText, type JsonObject } from '../events/json.ts';
import { requestJson, type JsonResponse } from './http.ts';

/**
 * A user and rooms of the homeserver under test, so that there is somebody to talk to. Made only in throw-away copies,
 * whose registration secret belongs to the drill.
 */
export interface Canary {
  readonly userId: string;
  /** Room versions that the server can make rooms of, its default first. */
  readonly roomVersions: readonly string[];
  createRoom(version: string): Promise<string>;
  /** Over federation, through the server named. */
  join(roomId: string, via: string): Promise<void>;
  send(roomId: string, body: string): Promise<string>;
  /** The newest messages of a room as its user sees them. */
  messages(roomId: string): Promise<readonly JsonObject[]>;
}

export interface ClientTarget {
  readonly connect: () => Promise<Duplex>;
  readonly registrationSecret: Secret;
  readonly timeoutMs: number;
}

/** Errors: `drill-failed` with what the server answered. */
export async function createCanary(target: ClientTarget): Promise<Canary> {
  const { userId, token } = await register(target);
  const call = async (method: string, path: string, json?: unknown) =>
    await request(target, method, `/_matrix/client/v3/${path}`, json, token);
  const capabilities = asObject(
    asObject((await call('GET', 'capabilities'))['capabilities'])?.['m.room_versions'],
  );
  const preferred = asText(capabilities?.['default']) ?? '1';
  const available = Object.keys(asObject(capabilities?.['available']) ?? {}).filter(
    (version) => version !== preferred,
  );
  return {
    userId,
    roomVersions: [preferred, ...available],
    async createRoom(version) {
      const created = await call('POST', 'createRoom', {
        preset: 'public_chat',
        room_version: version,
        name: 'Lifeboat canary',
      });
      return textIn(created, 'room_id');
    },
    async join(roomId, via) {
      await call(
        'POST',
        `join/${encodeURIComponent(roomId)}?server_name=${encodeURIComponent(via)}&via=${encodeURIComponent(via)}`,
        {},
      );
    },
    async send(roomId, body) {
      const sent = await call(
        'PUT',
        `rooms/${encodeURIComponent(roomId)}/send/m.room.message/${randomBytes(8).toString('hex')}`,
        { msgtype: 'm.text', body },
      );
      return textIn(sent, 'event_id');
    },
    async messages(roomId) {
      const page = await call('GET', `rooms/${encodeURIComponent(roomId)}/messages?dir=b&limit=20`);
      return asArray(page['chunk'])
        .map(asObject)
        .filter((event) => event !== undefined);
    },
  };
}

/** Synapse's shared-secret registration (Synapse docs, admin_api/register_api.md). */
async function register(target: ClientTarget): Promise<{ userId: string; token: string }> {
  const path = '/_synapse/admin/v1/register';
  const nonce = textIn(await request(target, 'GET', path), 'nonce');
  const username = `drill_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(24).toString('base64url');
  const mac = createHmac('sha1', target.registrationSecret.reveal())
    .update([nonce, username, password, 'notadmin'].join('\0'))
    .digest('hex');
  const account = await request(target, 'POST', path, { nonce, username, password, admin: false, mac });
  return { userId: textIn(account, 'user_id'), token: textIn(account, 'access_token') };
}

/** A copy has the rate limits of its original; the drill waits as it is told, within its time. */
async function request(
  target: ClientTarget,
  method: string,
  path: string,
  json?: unknown,
  token?: string,
): Promise<JsonObject> {
  const headers = { host: 'localhost', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const deadline = performance.now() + target.timeoutMs;
  for (;;) {
    const response: JsonResponse = await requestJson(target.connect, {
      method,
      path,
      headers,
      json,
      timeoutMs: target.timeoutMs,
    });
    if (response.status === 200) return response.json;
    const pauseMs =
      response.status === 429 ? Number(response.json['retry_after_ms'] ?? 500) : Number.POSITIVE_INFINITY;
    if (performance.now() + pauseMs > deadline)
      throw new LifeboatError(
        'drill-failed',
        `${method} ${path}: ${response.status} ${asText(response.json['error']) ?? ''}`.trim(),
      );
    await sleep(pauseMs);
  }
}

function textIn(object: JsonObject, key: string): string {
  const text = asText(object[key]);
  if (text === undefined)
    throw new LifeboatError('drill-failed', `the answer of the homeserver has no ${key}`);
  return text;
}
