import { describe, expect, it } from 'vitest';
import { newSeed, signingKeyFromSeed } from '../../src/core/ed25519.ts';
import { sha256Hex } from '../../src/repository/object-names.ts';
import {
  decodeRecord,
  encodeRecord,
  type RecordDraft,
  type RecordPlace,
  type Signer,
} from '../../src/repository/record.ts';
import { flipBit } from './memory-store.ts';

const host: Signer = { role: 'host', key: signingKeyFromSeed(newSeed()) };
const admin: Signer = { role: 'admin', key: signingKeyFromSeed(newSeed()) };
const stranger = signingKeyFromSeed(newSeed());
const time = new Date('2026-11-23T12:00:00Z');
const place: RecordPlace = {
  repositoryId: '1'.repeat(32),
  configSha256: 'c'.repeat(64),
  seq: 7,
  previousSha256: 'a'.repeat(64),
  publicKeys: { host: host.key.publicKey, admin: admin.key.publicKey },
};
const snapshot: RecordDraft = {
  type: 'snapshot',
  id: '2'.repeat(32),
  manifest: 'manifests/x',
  refs: ['refs/x'],
  files: 1,
  bytes: 2,
  new_bytes: 3,
  hostname: 'h',
  server_name: 'example.com',
  tags: [],
  lifeboat_version: '0.1.0',
};
const forget: RecordDraft = { type: 'forget', snapshots: [{ id: '2'.repeat(32), reason: 'old' }] };
const recipients: RecordDraft = {
  type: 'recipients',
  recipients: [`age1${'q'.repeat(58)}`],
  data_key: `keys/${'d'.repeat(64)}.age`,
};

describe('a log record', () => {
  it('is one line of JSON and one line of 128 hex digits, and reads back', () => {
    const bytes = encodeRecord(snapshot, place, host, time);
    expect(Buffer.from(bytes).toString()).toMatch(/^\{.*\}\n[0-9a-f]{128}\n$/);
    expect(decodeRecord(bytes, place)).toMatchObject({
      seq: 7,
      type: 'snapshot',
      sha256: sha256Hex(bytes),
      body: snapshot,
    });
  });

  it('is refused with any bit flipped, any byte cut off and any byte added', () => {
    const bytes = encodeRecord(snapshot, place, host, time);
    for (let bit = 0; bit < bytes.length * 8; bit += 1)
      expect(() => decodeRecord(flipBit(bytes, bit), place), `bit ${bit}`).toThrow('is refused');
    for (let length = 0; length < bytes.length; length += 1)
      expect(() => decodeRecord(bytes.subarray(0, length), place)).toThrow('is refused');
    for (const extra of ['\n', ' ', '0'])
      expect(() => decodeRecord(Buffer.concat([bytes, Buffer.from(extra)]), place)).toThrow('is refused');
  });

  it.each([
    ['a stranger as host', () => encodeRecord(snapshot, place, { role: 'host', key: stranger }, time)],
    ['a stranger as admin', () => encodeRecord(forget, place, { role: 'admin', key: stranger }, time)],
    [
      'the host under the name of the admin',
      () => encodeRecord(forget, place, { role: 'admin', key: host.key }, time),
    ],
    [
      'the admin under the name of the host',
      () => encodeRecord(snapshot, place, { role: 'host', key: admin.key }, time),
    ],
  ])('is refused when signed by %s', (_, forge) => {
    expect(() => decodeRecord(forge(), place)).toThrow('the signature is not one of');
  });

  it.each([
    ['another repository', { repositoryId: '9'.repeat(32) }, 'another repository'],
    ['another number', { seq: 6 }, 'its number'],
    ['another predecessor', { previousSha256: 'b'.repeat(64) }, 'does not follow'],
    ['another lifeboat.json', { configSha256: 'd'.repeat(64) }, 'lifeboat.json is not'],
  ])('is refused when replayed from %s', (_, other, problem) => {
    expect(() => decodeRecord(encodeRecord(snapshot, { ...place, ...other }, host, time), place)).toThrow(
      problem,
    );
  });

  it.each([
    forget,
    { type: 'mark', objects: ['packs/x'] },
    { type: 'done', mark: 3 },
    recipients,
    { type: 'pin', snapshot: '2'.repeat(32), pinned: false },
    { type: 'init' },
  ] satisfies RecordDraft[])(
    'of the type $type is refused with a good signature of the host key',
    (draft) => {
      expect(() => encodeRecord(draft, place, host, time)).toThrow();
      expect(() => decodeRecord(signed(bodyOf(draft, 'host'), host), place)).toThrow(
        `a ${draft.type} record must be signed by the admin key`,
      );
    },
  );

  it.each([
    ['nobody', { recipients: [] }],
    ['the same one twice', { recipients: [...recipients.recipients, ...recipients.recipients] }],
    ['a post-quantum key', { recipients: [`age1pq1${'q'.repeat(1952)}`] }],
    ['an object of another class', { data_key: `packs/dd/${'d'.repeat(64)}.age` }],
    ['a path that leads out', { data_key: `keys/../${'d'.repeat(64)}.age` }],
  ])('of recipients that names %s is refused with a good signature', (_, change) => {
    expect(() => decodeRecord(signed(bodyOf({ ...recipients, ...change }, 'admin'), admin), place)).toThrow(
      'is refused',
    );
  });

  it('of a later type is verified and kept without a meaning', () => {
    const body = bodyOf({ type: 'rekey', keys: [] }, 'admin');
    expect(decodeRecord(signed(body, admin), place)).toMatchObject({ type: 'rekey', body: undefined });
    expect(() => decodeRecord(signed(body, { role: 'admin', key: stranger }), place)).toThrow(
      'the signature is not one of',
    );
  });
});

function bodyOf(draft: object, signer: Signer['role']): object {
  return {
    v: 1,
    repo_id: place.repositoryId,
    seq: place.seq,
    prev_sha256: place.previousSha256,
    config_sha256: place.configSha256,
    time: time.toISOString(),
    signer,
    ...draft,
  };
}

function signed(body: object, signer: Signer): Uint8Array {
  const line = Buffer.from(JSON.stringify(body));
  return Buffer.concat([line, Buffer.from(`\n${Buffer.from(signer.key.sign(line)).toString('hex')}\n`)]);
}
