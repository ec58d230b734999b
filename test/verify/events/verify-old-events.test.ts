import { describe, expect, it } from 'vitest';
import { signingKeyFromSeed } from '../../../src/core/ed25519.ts';
import type { PostgresSession } from '../../../src/database/port.ts';
import { encodeBase64 } from '../../../src/verify/events/base64.ts';
import { eventId } from '../../../src/verify/events/hashes.ts';
import type { JsonObject } from '../../../src/verify/events/json.ts';
import { redact } from '../../../src/verify/events/redact.ts';
import { ROOM_VERSIONS } from '../../../src/verify/events/room-versions.ts';
import { signEvent } from '../../../src/verify/events/signatures.ts';
import { verifyStoredEvents } from '../../../src/verify/events/verify-old-events.ts';

const SERVER = 'example.com:8448';
const key = signingKeyFromSeed(new Uint8Array(32).fill(1));
const signer = { name: SERVER, keyId: 'ed25519:a_1', key };
const keys = [{ keyId: 'ed25519:a_1', publicKey: encodeBase64(key.publicKey) }];

interface Row extends Record<string, unknown> {
  event_id: string;
  room_id: string;
  sender: string;
  json: string;
  room_version: string;
  redacted: boolean;
}

function row(fields: JsonObject = {}, version = '11', signedBy = signer): Row {
  const event = {
    type: 'm.room.message',
    room_id: '!r:example.com',
    sender: `@a:${SERVER}`,
    content: { body: 'hello' },
    depth: 5,
    ...fields,
  };
  const signed = signEvent(event, ROOM_VERSIONS[version]!, signedBy);
  return {
    event_id: eventId(signed, ROOM_VERSIONS[version]!)!,
    room_id: '!r:example.com',
    sender: String(event.sender),
    json: JSON.stringify(signed),
    room_version: version,
    redacted: false,
  };
}

const changed = (original: Row, change: (event: Record<string, unknown>) => void): Row => {
  const event = JSON.parse(original.json) as Record<string, unknown>;
  change(event);
  return { ...original, json: JSON.stringify(event) };
};

function database(rows: readonly Row[]): PostgresSession {
  return {
    query: async <T>() => [{ total: String(rows.length) }] as T[],
    stream: async function* <T>() {
      yield* rows as unknown as T[];
    },
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

const verify = async (...rows: Row[]) => await verifyStoredEvents(database(rows), SERVER, keys);
const reasonOf = async (broken: Row) => (await verify(row(), broken)).failed.map(({ reason }) => reason);

describe('old events in the database', () => {
  it('verify in every room version, and are counted by sender and version', async () => {
    const rows = Object.keys(ROOM_VERSIONS).map((version) =>
      row({ event_id: `$${version}:example.com` }, version),
    );
    const report = await verify(...rows, row({ sender: `@b:${SERVER}` }));
    expect(report).toMatchObject({ total: 13, checked: 13, failedCount: 0, unverifiable: 0, failed: [] });
    expect(report.perSender).toEqual(
      new Map([
        [`@a:${SERVER}`, { checked: 12, failed: 0 }],
        [`@b:${SERVER}`, { checked: 1, failed: 0 }],
      ]),
    );
    expect(report.byRoomVersion).toMatchObject({ '1': 1, '11': 2, '12': 1 });
  });

  it('are named when their body was changed', async () => {
    const broken = changed(row(), (event) => (event['content'] = { body: 'goodbye' }));
    const report = await verify(row(), broken);
    expect(report.failed).toEqual([
      {
        eventId: broken.event_id,
        roomId: '!r:example.com',
        sender: `@a:${SERVER}`,
        reason: 'its content does not match its hash',
      },
    ]);
    expect(report.perSender.get(`@a:${SERVER}`)).toEqual({ checked: 2, failed: 1 });
  });

  it('are named when what a signature covers was changed', async () => {
    expect(await reasonOf(changed(row(), (event) => (event['depth'] = 6)))).toEqual([
      'its signature does not verify under ed25519:a_1',
    ]);
  });

  it('are named when they stand under the id of another event', async () => {
    expect(await reasonOf({ ...row(), event_id: row({ depth: 99 }).event_id })).toEqual([
      'its content does not give its event id',
    ]);
  });

  it('are named when another key of the same id has signed them', async () => {
    const other = { ...signer, key: signingKeyFromSeed(new Uint8Array(32).fill(2)) };
    expect(await reasonOf(row({}, '11', other))).toEqual(['its signature does not verify under ed25519:a_1']);
  });

  it('are named when they are signed with a key that the backup does not have, or not at all', async () => {
    expect(await reasonOf(row({}, '11', { ...signer, keyId: 'ed25519:a_2' }))).toEqual([
      'it is signed with ed25519:a_2, which is not among the known keys',
    ]);
    expect(await reasonOf(changed(row(), (event) => delete event['signatures']))).toEqual([
      `it is not signed by ${SERVER}`,
    ]);
  });

  it('are named when the row and its JSON disagree, or the JSON is cut', async () => {
    expect(await reasonOf({ ...row(), sender: `@b:${SERVER}` })).toEqual([
      `its sender is @a:${SERVER} in its JSON`,
    ]);
    expect(await reasonOf({ ...row(), json: row().json.slice(0, 50) })).toEqual(['its JSON cannot be read']);
  });

  it('are no false alarm when they were redacted, with their content or without it', async () => {
    const original = row();
    const censored = {
      ...original,
      json: JSON.stringify(redact(JSON.parse(original.json) as JsonObject, ROOM_VERSIONS['11']!)),
    };
    const report = await verify({ ...original, redacted: true }, { ...censored, redacted: true });
    expect(report).toMatchObject({ checked: 2, redacted: 2, failedCount: 0 });
    expect(await reasonOf(censored)).toEqual(['its content does not match its hash']);
    const tampered = changed({ ...censored, redacted: true }, (event) => (event['content'] = { body: 'x' }));
    expect(await reasonOf(tampered)).toEqual(['its content does not match its hash']);
  });

  it('are no false alarm when the invited server made the invite in the name of our user', async () => {
    const invite = {
      type: 'm.room.member',
      state_key: '@x:other',
      content: { membership: 'invite', third_party_invite: { signed: {} } },
    };
    expect((await verify(row(invite, '11', { ...signer, name: 'other' }))).failedCount).toBe(0);
  });

  it('are left out of judgement when their room version is unknown or their numbers are no integers', async () => {
    const float = { ...row({}, '5'), json: row({}, '5').json.replace('"depth":5', '"depth":5.5') };
    const whole = { ...row({}, '5'), json: row({}, '5').json.replace('"depth":5', '"depth":5.0') };
    const huge = {
      ...row({}, '5'),
      json: row({}, '5').json.replace('"depth":5', '"depth":9007199254740993'),
    };
    const report = await verify({ ...row(), room_version: 'org.example.1' }, float, whole, huge);
    expect(report).toMatchObject({ checked: 1, unverifiable: 3, failedCount: 0 });
    expect(await reasonOf({ ...row(), json: row().json.replace('"depth":5', '"depth":5.5') })).toEqual([
      'canonical JSON has no number 5.5',
    ]);
  });

  it('are listed up to a thousand, and counted beyond', async () => {
    const broken = changed(row(), (event) => (event['content'] = {}));
    const report = await verify(...Array.from({ length: 1200 }, () => broken));
    expect(report.failedCount).toBe(1200);
    expect(report.failed).toHaveLength(1000);
  });
});
