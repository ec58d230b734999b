import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/core/canonical-json.ts';
import { signingKeyFromSeed } from '../../src/core/ed25519.ts';
import { eventId, verifyContentHash } from '../../src/verify/events/hashes.ts';
import { redact } from '../../src/verify/events/redact.ts';
import { ROOM_VERSIONS } from '../../src/verify/events/room-versions.ts';
import { signEvent, signJson, verifyEventSignature, verifyJson } from '../../src/verify/events/signatures.ts';
import { parseXMatrix, xMatrixHeader } from '../../src/verify/events/x-matrix.ts';

const key = signingKeyFromSeed(new Uint8Array(32).fill(3));
const signer = { name: 'domain', keyId: 'ed25519:1', key };

const integers = fc.maxSafeInteger().map((value) => (value === 0 ? 0 : value));
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'binary' }),
    integers,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { maxKeys: 5 }),
}));
const object = json.object;
const version = fc.constantFrom(...Object.values(ROOM_VERSIONS));
const event = fc.record({
  type: fc.constantFrom('m.room.message', 'm.room.member', 'm.room.create', 'm.room.power_levels', 'X'),
  sender: fc.constant('@a:domain'),
  room_id: fc.constant('!r'),
  event_id: fc.constant('$e:domain'),
  content: object,
  depth: fc.nat(),
  extra: json.value,
});

function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, item]) => [name, shuffled(item)]),
  );
}

describe('canonical JSON', () => {
  it('reads back as the same value', () => {
    fc.assert(
      fc.property(object, (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(value);
      }),
    );
  });

  it('does not depend on the order of keys, and orders them by code point', () => {
    fc.assert(
      fc.property(object, (value) => {
        expect(canonicalJson(shuffled(value))).toBe(canonicalJson(value));
        const keys = Object.keys(value).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        const places = keys.map((name) => canonicalJson({ [name]: value[name] }).slice(1, -1));
        expect(canonicalJson(value)).toBe(`{${places.join(',')}}`);
      }),
    );
  });
});

describe('signatures', () => {
  it('verify whatever was signed, whatever stands in unsigned', () => {
    fc.assert(
      fc.property(object, json.value, (value, unsigned) => {
        const signed = signJson({ ...value, signatures: {} }, signer);
        expect(verifyJson({ ...signed, unsigned }, 'domain', 'ed25519:1', key.publicKey)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('of events survive a redaction, and so does the event id', () => {
    fc.assert(
      fc.property(event, version, (unsigned, rules) => {
        const signed = signEvent(unsigned, rules, signer);
        const redacted = redact(signed, rules);
        expect(verifyContentHash(signed)).toBe(true);
        expect(verifyEventSignature(redacted, rules, 'domain', 'ed25519:1', key.publicKey)).toBe(true);
        expect(eventId(redacted, rules)).toBe(eventId(signed, rules));
        expect(redact(redacted, rules)).toEqual(redacted);
      }),
      { numRuns: 100 },
    );
  });

  it('of requests come through the header for any names', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (name, destination) => {
        const header = xMatrixHeader({ method: 'GET', uri: '/', destination }, { ...signer, name });
        expect(parseXMatrix(header)).toMatchObject({ origin: name, destination, key: 'ed25519:1' });
      }),
      { numRuns: 100 },
    );
  });
});
