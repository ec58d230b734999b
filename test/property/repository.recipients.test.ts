import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newSeed, signingKeyFromSeed } from '../../src/core/ed25519.ts';
import { isLifeboatError } from '../../src/core/errors.ts';
import type { RepositoryConfig } from '../../src/repository/config-file.ts';
import { decodeRecord, encodeRecord, type LogEntry, type RecordPlace } from '../../src/repository/record.ts';
import { recoveryKeys } from '../../src/repository/recovery-keys.ts';

const admin = signingKeyFromSeed(newSeed());
const place: RecordPlace = {
  repositoryId: '1'.repeat(32),
  configSha256: 'c'.repeat(64),
  seq: 7,
  previousSha256: 'a'.repeat(64),
  publicKeys: { host: signingKeyFromSeed(newSeed()).publicKey, admin: admin.publicKey },
};
const ALPHABET = '023456789acdefghjklmnpqrstuvwxyz';
const recipient = fc.constantFrom(...ALPHABET).map((letter) => `age1${letter.repeat(58)}`);
const list = fc.uniqueArray(recipient, { minLength: 1, maxLength: 5 });
const object = fc.constantFrom(...'0123456789abcdef').map((digit) => `keys/${digit.repeat(64)}.age`);

/** As who has stolen the admin key could sign it. */
function signed(line: Uint8Array): Uint8Array {
  const signature = Buffer.from(admin.sign(line)).toString('hex');
  return Buffer.concat([line, Buffer.from(`\n${signature}\n`)]);
}

function lineOf(recipients: readonly string[], dataKey: string): Buffer {
  const draft = { type: 'recipients' as const, recipients: [...recipients], data_key: dataKey };
  const record = encodeRecord(draft, place, { role: 'admin', key: admin }, new Date(0));
  return Buffer.from(record).subarray(0, record.indexOf(10));
}

/** What a reader takes from it; undefined when it is refused in good order. */
function read(bytes: Uint8Array): LogEntry | undefined {
  try {
    return decodeRecord(bytes, place);
  } catch (error) {
    if (!isLifeboatError(error, 'repository-damaged')) throw error;
    return undefined;
  }
}

describe('a record of recipients', () => {
  it('with other bytes, signed by the admin key all the same, is refused or names fit recipients and a fit object', () => {
    const edit = fc.record({
      at: fc.double({ min: 0, max: 0.999, noNaN: true }),
      remove: fc.integer({ min: 0, max: 70 }),
      insert: fc.oneof(
        fc.string({ maxLength: 6 }),
        fc.constantFrom('"', ',', '[]', '../', 'packs/', '"age1x",', '\\u0000', 'AGE-SECRET-KEY-1'),
      ),
    });
    fc.assert(
      fc.property(list, object, fc.array(edit, { minLength: 1, maxLength: 3 }), (recipients, key, edits) => {
        const line = edits.reduce<Buffer>(
          (before, { at, remove, insert }) => {
            const start = Math.floor(at * before.length);
            return Buffer.concat([
              before.subarray(0, start),
              Buffer.from(insert),
              before.subarray(start + remove),
            ]);
          },
          lineOf(recipients, key),
        );
        const body = read(signed(line))?.body;
        if (body?.type !== 'recipients') return;
        expect(body.data_key).toMatch(/^keys\/[0-9a-f]{64}\.age$/);
        expect(body.recipients.length).toBe(new Set(body.recipients).size);
        expect(body.recipients.length).toBeGreaterThan(0);
        for (const one of body.recipients) expect(one).toMatch(/^age1[a-z0-9]{58}$/);
      }),
      { numRuns: 500 },
    );
  });

  it('is accepted when it names one at least, and none twice', () => {
    fc.assert(
      fc.property(fc.array(recipient, { maxLength: 6 }), object, (recipients, key) => {
        const sound = JSON.parse(lineOf([`age1${'q'.repeat(58)}`], key).toString()) as object;
        const entry = read(signed(Buffer.from(JSON.stringify({ ...sound, recipients }))));
        const fit = recipients.length > 0 && new Set(recipients).size === recipients.length;
        expect(entry !== undefined).toBe(fit);
      }),
    );
  });

  it('with any value in the place of a field is refused, or is a record of that value', () => {
    const field = fc.constantFrom('recipients', 'data_key', 'signer', 'type', 'seq', 'v', 'extra');
    fc.assert(
      fc.property(list, object, field, fc.jsonValue(), (recipients, key, name, value) => {
        const sound = JSON.parse(lineOf(recipients, key).toString()) as Record<string, unknown>;
        const entry = read(signed(Buffer.from(JSON.stringify({ ...sound, [name]: value }))));
        const harmless = JSON.stringify(sound[name]) === JSON.stringify(value);
        if (entry !== undefined && !harmless) expect(['type']).toContain(name);
      }),
    );
  });
});

describe('who can open a repository', () => {
  it('is whom the newest record of recipients names, each since the record from which it was named without a gap', () => {
    fc.assert(
      fc.property(list, fc.array(fc.tuple(list, object), { maxLength: 8 }), (first, changes) => {
        const config = { recipients: first, data_key_object: 'first' } as RepositoryConfig;
        const entries = changes.map(([recipients, key], at) => ({
          seq: at + 2,
          body: { type: 'recipients', seq: at + 2, recipients, data_key: key },
        })) as unknown as LogEntry[];
        const keys = recoveryKeys(config, entries);
        const lists = [first, ...changes.map(([recipients]) => recipients)];
        expect(keys.dataKeyObject).toBe(changes.at(-1)?.[1] ?? 'first');
        expect(keys.recipients.map((one) => one.recipient)).toEqual(lists.at(-1));
        for (const { recipient: one, since } of keys.recipients) {
          expect(lists.slice(since - 1).every((names) => names.includes(one))).toBe(true);
          expect(since === 1 || !lists[since - 2]!.includes(one)).toBe(true);
        }
        const everybody = new Set(lists.flat());
        for (const one of lists.at(-1)!) everybody.delete(one);
        expect(new Set(keys.removed.keys())).toEqual(everybody);
      }),
    );
  });
});
