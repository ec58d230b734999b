import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeBase64 } from '../../../src/verify/events/base64.ts';
import { eventId } from '../../../src/verify/events/hashes.ts';
import type { JsonObject } from '../../../src/verify/events/json.ts';
import { ROOM_VERSIONS } from '../../../src/verify/events/room-versions.ts';
import { signEvent, verifyJson } from '../../../src/verify/events/signatures.ts';
import { federationClient, type FederationClient } from '../../../src/verify/probe/federation-client.ts';
import { impostorOf, newIdentity } from '../../../src/verify/probe/identity.ts';
import {
  createProbeServer,
  type ProbeServer,
  type ProbeServerOptions,
} from '../../../src/verify/probe/probe-server.ts';

const peer = newIdentity('example.com');
const version = ROOM_VERSIONS['11']!;
const identity = newIdentity('probe.invalid:8448');
let certificate: ProbeServerOptions['certificate'];
let directory: string;
let server: ProbeServer;
let client: FederationClient;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-probe-server-'));
  const argv = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=probe',
    '-keyout',
    'key',
    '-out',
    'cert',
  ];
  await promisify(execFile)('openssl', argv, { cwd: directory });
  certificate = {
    certificatePem: await readFile(join(directory, 'cert'), 'utf8'),
    keyPem: await readFile(join(directory, 'key'), 'utf8'),
  };
});

afterAll(async () => await rm(directory, { recursive: true }));

beforeEach(() => {
  server = createProbeServer({
    identity,
    certificate,
    peer: { name: peer.name, keys: new Map([[peer.keyId, peer.key.publicKey]]) },
  });
  server.addRoom('!r:example.com', version);
  const connect = async () => {
    const [near, far] = duplexPair();
    server.accept(far);
    return near;
  };
  client = federationClient(
    {
      serverName: identity.name,
      tlsName: 'probe.invalid',
      hostHeader: identity.name,
      connect,
      caPem: undefined,
      timeoutMs: 5000,
    },
    peer,
  );
});

afterEach(() => server.close());

const message = (fields: JsonObject = {}) =>
  signEvent(
    {
      type: 'm.room.message',
      room_id: '!r:example.com',
      sender: '@a:example.com',
      content: { body: 'x' },
      depth: 1,
      ...fields,
    },
    version,
    peer,
  );
const send = async (pdus: JsonObject[], options = {}) =>
  await client.call('PUT', '/_matrix/federation/v1/send/1?x=y', { pdus }, options);

describe('the probe as a server', () => {
  it('publishes a key that signs its own document', async () => {
    const { status, json } = await client.call('GET', '/_matrix/key/v2/server', undefined, {
      signer: undefined,
    });
    const key = (json['verify_keys'] as Record<string, { key: string }>)[identity.keyId]!.key;
    expect(status).toBe(200);
    expect(verifyJson(json, identity.name, identity.keyId, decodeBase64(key)!)).toBe(true);
    expect(json['valid_until_ts']).toBeGreaterThan(Date.now());
  });

  it('keeps events of its rooms and says which of them do not verify', async () => {
    const [good, foreign] = [message(), message({ room_id: '!other:example.com' })];
    const changed = { ...message({ depth: 2 }), content: { body: 'y' } };
    const answer = await send([good, changed, foreign]);
    expect(answer).toEqual({
      status: 200,
      json: {
        pdus: {
          [eventId(good, version)!]: {},
          [eventId(changed, version)!]: { error: 'its content does not match its hash' },
        },
      },
    });
    expect(server.received.map(({ fault }) => fault)).toEqual([
      undefined,
      'its content does not match its hash',
    ]);
  });

  it('refuses requests that are unsigned, signed with another or an unknown key, by another server, or for another one', async () => {
    const stranger = newIdentity('stranger.invalid');
    for (const options of [
      { signer: undefined },
      { signer: { ...peer, keyId: 'ed25519:unknown' } },
      { signer: impostorOf(peer) },
      { signer: stranger },
      { destination: 'elsewhere.invalid' },
    ]) {
      expect((await send([message()], options)).status).toBe(401);
    }
    expect(server.received).toEqual([]);
    expect(server.refused).toHaveLength(5);
  });

  it('hands out its own events and no others', async () => {
    server.addOwnEvent('$mine', { type: 'X' });
    expect(await client.call('GET', '/_matrix/federation/v1/event/%24mine')).toMatchObject({
      status: 200,
      json: { pdus: [{ type: 'X' }] },
    });
    expect((await client.call('GET', '/_matrix/federation/v1/event/%24other')).status).toBe(404);
    expect(
      (await client.call('GET', '/_matrix/federation/v1/backfill/!r?v=%24mine&limit=1')).json['pdus'],
    ).toEqual([{ type: 'X' }]);
    expect((await client.call('POST', '/_matrix/federation/v1/user/keys/claim', {})).status).toBe(404);
  });
});
