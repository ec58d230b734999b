import { randomBytes } from 'node:crypto';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { connect } from '../../src/database/index.ts';
import type { PostgresSession } from '../../src/database/port.ts';
import type { Check } from '../../src/restore/step.ts';
import { verifyStoredEvents } from '../../src/verify/events/index.ts';
import { createCanary, type Canary } from '../../src/verify/probe/canary.ts';
import {
  runFederationProbe,
  type FederationProbeOptions,
  type MediaSample,
} from '../../src/verify/probe/index.ts';
import { freePorts, listener, startSynapse, tcp, type RealSynapse } from './real-synapse.ts';

let synapse: RealSynapse;
let db: PostgresSession;
let user: Canary;

beforeAll(async () => {
  synapse = await startSynapse();
  db = await connect(synapse.database, { applicationName: 'lifeboat:test' });
  const { clientPort, registrationSecret } = synapse;
  user = await createCanary({ connect: () => tcp(clientPort), registrationSecret, timeoutMs: 10_000 });
}, 120_000);

afterAll(async () => {
  await db?.close();
  await synapse?.[Symbol.asyncDispose]();
}, 60_000);

async function probe(changes: Partial<FederationProbeOptions> = {}): Promise<Map<string, Check>> {
  const [port] = await freePorts(1);
  const { listen, close } = listener();
  const checks = new Map<string, Check>();
  try {
    const options: FederationProbeOptions = {
      serverName: synapse.serverName,
      publicKeys: synapse.publicKeys,
      connectFederation: () => tcp(synapse.federationPort),
      connectClient: () => tcp(synapse.clientPort),
      listen,
      probeName: `localhost:${port}`,
      certificate: synapse.certificate,
      caPem: synapse.caPem,
      registrationSecret: synapse.registrationSecret,
      samples: { users: [user.userId], aliases: [], media: [] },
      roomVersions: [],
      ...changes,
    };
    for await (const check of runFederationProbe(options)) {
      expect(checks.has(check.id), `${check.id} comes once`).toBe(false);
      checks.set(check.id, check);
    }
  } finally {
    close();
  }
  return checks;
}

const failed = (checks: Map<string, Check>) =>
  [...checks.values()].filter(({ result }) => result === 'fail').map(({ id }) => id);

describe('the probe and a real Synapse', () => {
  it('passes everything over old and new room versions', async () => {
    const alias = await makeAlias();
    const media = [
      await upload(randomBytes(300_000)),
      await upload(Buffer.from('small')),
      { ...(await upload(randomBytes(99))), sha256: null },
    ];
    const checks = await probe({
      roomVersions: ['1', '3', '6', '10', '11', '12'],
      samples: { users: [user.userId], aliases: [alias], media },
    });
    const unhappy = [...checks.values()].filter(({ result }) => result !== 'pass');
    expect(unhappy).toEqual([]);
    expect(checks.get('federation.media')).toMatchObject({
      observed: expect.stringContaining('3 of 3'),
      detail: [expect.stringContaining('1 have no hash')],
    });
    expect(checks.get('federation.state-v12')?.observed).toMatch(/^\d+ of \d+ verify$/);
  }, 120_000);

  it('fails when the server publishes another key than that of the backup', async () => {
    const { keyId } = synapse.publicKeys[0]!;
    const other = { keyId, publicKey: 'XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI' };
    const checks = await probe({ publicKeys: [other], roomVersions: ['12'], timeoutMs: 2000 });
    expect(failed(checks)).toEqual([
      'federation.key-published',
      'federation.state-v12',
      'federation.history-v12',
      'federation.message-out-v12',
    ]);
    expect(checks.get('federation.key-published')?.detail).toEqual([
      `published, but not in the backup: ${keyId} ${synapse.publicKeys[0]!.publicKey}`,
      `in the backup, but not published: ${keyId} ${other.publicKey}`,
    ]);
    // The server may put its two events into one transaction or into two.
    const detail = checks.get('federation.message-out-v12')?.detail ?? [];
    expect(detail.length).toBeGreaterThan(0);
    for (const line of detail) expect(line).toContain('was not signed with a key of the backup');
  }, 60_000);

  it('fails when a key of the backup is neither published nor declared old', async () => {
    const lost = { keyId: 'ed25519:a_old', publicKey: 'XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI' };
    expect(failed(await probe({ publicKeys: [...synapse.publicKeys, lost] }))).toEqual([
      'federation.key-published',
    ]);
  });

  it('fails when the certificate comes from somebody else, or is not for this name', async () => {
    expect(failed(await probe({ caPem: undefined }))).toEqual(['federation.tls-certificate']);
    const stranger = await probe({ serverName: 'elsewhere.example' });
    expect(stranger.get('federation.tls-certificate')).toMatchObject({
      result: 'fail',
      observed: expect.stringContaining('does not match'),
    });
    expect(failed(stranger)).toContain('federation.key-published');
  });

  it('fails, and skips the rooms, when no canary user can be made', async () => {
    const checks = await probe({ registrationSecret: new Secret('not the secret'), roomVersions: ['12'] });
    expect(failed(checks)).toEqual(['federation.canary']);
    expect(checks.get('federation.message-in-v12')?.result).toBe('skip');
  });

  it('names users and aliases that are gone, and passes over what the configuration forbids', async () => {
    const gone = `@gone:${synapse.serverName}`;
    const checks = await probe({
      samples: { users: [user.userId, gone], aliases: [`#gone:${synapse.serverName}`], media: [] },
    });
    expect(failed(checks)).toEqual(['federation.profile', 'federation.directory']);
    expect(checks.get('federation.profile')).toMatchObject({
      observed: '1 of 2 answered',
      detail: [expect.stringContaining(gone)],
    });
  });

  it('names media that are missing, changed, cut or of another size', async () => {
    const [good, missing, flipped, cut, grown] = await Promise.all(
      Array.from({ length: 5 }, async () => await upload(randomBytes(200_000))),
    );
    await rm(fileOf(missing!));
    const bytes = await readFile(fileOf(flipped!));
    bytes[1000]! ^= 1;
    await writeFile(fileOf(flipped!), bytes);
    await truncate(fileOf(cut!), 100_000);
    const checks = await probe({
      samples: {
        users: [],
        aliases: [],
        media: [good!, missing!, flipped!, cut!, { ...grown!, sizeBytes: 5 }],
      },
      timeoutMs: 3000,
    });
    const { result, observed, detail } = checks.get('federation.media')!;
    expect({ result, observed }).toEqual({ result: 'fail', observed: '1 of 5 files, 195 KiB' });
    expect(detail).toHaveLength(4);
    expect(detail).toContain(`${missing!.mediaId}: not served (404): its file is missing`);
    expect(detail).toContainEqual(expect.stringMatching(`${flipped!.mediaId}: its content is changed`));
    expect(detail).toContainEqual(
      expect.stringMatching(`${cut!.mediaId}: the server (fell silent|broke off) after \\d+ of 200000 bytes`),
    );
    expect(detail).toContain(`${grown!.mediaId}: 200000 bytes instead of 5`);
  }, 60_000);
});

describe('old events in a real database', () => {
  it('verify in all room versions, redacted ones too; a changed body is named', async () => {
    const room = await user.createRoom('11');
    const kept = await user.send(room, 'stays');
    const redactedLater = await user.send(room, 'goes');
    await client(
      'PUT',
      `rooms/${encodeURIComponent(room)}/redact/${encodeURIComponent(redactedLater)}/1`,
      {},
    );
    for (const version of ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '12'])
      await user.send(await user.createRoom(version), 'hello');

    const before = await verifyStoredEvents(db, synapse.serverName, synapse.publicKeys);
    expect(before).toMatchObject({ failed: [], unverifiable: 0, redacted: 1 });
    expect(before.checked).toBe(before.total);
    expect(Object.keys(before.byRoomVersion)).toHaveLength(12);
    expect(before.perSender.get(user.userId)!.checked).toBeGreaterThan(60);

    const sampled = await verifyStoredEvents(db, synapse.serverName, synapse.publicKeys, {
      sample: 0,
      perUser: 7,
    });
    expect(sampled.checked).toBe(7 * before.perSender.size);

    // What Synapse does a week after a redaction: only the redacted form stays.
    await db.query(
      `update event_json set json = (json::jsonb #- '{content,body}' #- '{content,msgtype}')::text where event_id = $1`,
      [redactedLater],
    );
    await db.query(`update event_json set json = replace(json, '"stays"', '"stayed"') where event_id = $1`, [
      kept,
    ]);
    const after = await verifyStoredEvents(db, synapse.serverName, synapse.publicKeys);
    expect(after.failed).toEqual([
      { eventId: kept, roomId: room, sender: user.userId, reason: 'its content does not match its hash' },
    ]);

    const foreign = [{ ...synapse.publicKeys[0]!, publicKey: 'XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI' }];
    const exchanged = await verifyStoredEvents(db, synapse.serverName, foreign, { sample: 'all' });
    expect(exchanged.failedCount).toBe(exchanged.total);
  }, 60_000);
});

let token: string | undefined;

async function client(method: string, path: string, json?: unknown): Promise<Record<string, unknown>> {
  token ??= (
    await db.query<{ token: string }>('select token from access_tokens where user_id = $1', [user.userId])
  )[0]!.token;
  const response = await fetch(`http://127.0.0.1:${synapse.clientPort}/_matrix/client/v3/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    body: json === undefined ? null : JSON.stringify(json),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}

async function makeAlias(): Promise<string> {
  const name = `canary-${randomBytes(4).toString('hex')}`;
  await client('POST', 'createRoom', { preset: 'public_chat', room_alias_name: name });
  return `#${name}:${synapse.serverName}`;
}

async function upload(bytes: Buffer): Promise<MediaSample> {
  await client('GET', 'account/whoami');
  const response = await fetch(`http://127.0.0.1:${synapse.clientPort}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
    body: new Uint8Array(bytes),
  });
  const { content_uri: uri } = (await response.json()) as { content_uri: string };
  const mediaId = uri.split('/').at(-1)!;
  const [row] = await db.query<{ sha256: string; media_length: number }>(
    'select sha256, media_length from local_media_repository where media_id = $1',
    [mediaId],
  );
  return { mediaId, sha256: row!.sha256, sizeBytes: row!.media_length };
}

function fileOf({ mediaId }: MediaSample): string {
  return join(
    synapse.mediaStore,
    'local_content',
    mediaId.slice(0, 2),
    mediaId.slice(2, 4),
    mediaId.slice(4),
  );
}
