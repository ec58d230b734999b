import { describe, expect, it } from 'vitest';
import { signingKeyFromSeed } from '../../../src/core/ed25519.ts';
import { decodeBase64, encodeBase64 } from '../../../src/verify/events/base64.ts';
import { contentHash, verifyContentHash } from '../../../src/verify/events/hashes.ts';
import type { JsonObject } from '../../../src/verify/events/json.ts';
import { ROOM_VERSIONS } from '../../../src/verify/events/room-versions.ts';
import {
  signEvent,
  signJson,
  verifyEventSignature,
  verifyJson,
} from '../../../src/verify/events/signatures.ts';

/** Matrix specification, appendices, "Cryptographic Test Vectors". */
const signer = {
  name: 'domain',
  keyId: 'ed25519:1',
  key: signingKeyFromSeed(decodeBase64('YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1')!),
};
const version1 = ROOM_VERSIONS['1']!;

const signatureOf = (object: JsonObject) =>
  (object['signatures'] as Record<string, Record<string, string>>)['domain']!['ed25519:1'];

describe('the test vectors of the specification', () => {
  it('sign an empty JSON object', () => {
    expect(signJson({}, signer)).toEqual({
      signatures: {
        domain: {
          'ed25519:1':
            'K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ',
        },
      },
    });
  });

  it('sign a JSON object with data', () => {
    const signed = signJson({ one: 1, two: 'Two' }, signer);
    expect(signatureOf(signed)).toBe(
      'KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw',
    );
    expect(verifyJson(signed, 'domain', 'ed25519:1', signer.key.publicKey)).toBe(true);
    expect(verifyJson({ ...signed, two: 'Three' }, 'domain', 'ed25519:1', signer.key.publicKey)).toBe(false);
  });

  it('sign a minimal event', () => {
    const event = {
      room_id: '!x:domain',
      sender: '@a:domain',
      origin: 'domain',
      origin_server_ts: 1000000,
      signatures: {},
      hashes: {},
      type: 'X',
      content: {},
      prev_events: [],
      auth_events: [],
      depth: 3,
      unsigned: { age_ts: 1000000 },
    };
    const signed = signEvent(event, version1, signer);
    expect(signed['hashes']).toEqual({ sha256: '5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos' });
    expect(signatureOf(signed)).toBe(
      'KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg',
    );
    expect(signed['unsigned']).toEqual({ age_ts: 1000000 });
  });

  it('sign an event with content that a redaction takes away', () => {
    const event = {
      content: { body: 'Here is the message content' },
      event_id: '$0:domain',
      origin: 'domain',
      origin_server_ts: 1000000,
      type: 'm.room.message',
      room_id: '!r:domain',
      sender: '@u:domain',
      signatures: {},
      unsigned: { age_ts: 1000000 },
    };
    const signed = signEvent(event, version1, signer);
    expect(signed['hashes']).toEqual({ sha256: 'onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g' });
    expect(signatureOf(signed)).toBe(
      'Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA',
    );
  });
});

/** Values that Synapse's test suite expects of the same key. */
describe('the vectors of Synapse', () => {
  it('hash and sign an event of four fields', () => {
    const event = {
      event_id: '$0:domain',
      origin_server_ts: 1000000,
      signatures: {},
      type: 'X',
      unsigned: { age_ts: 1000000 },
    };
    expect(contentHash(event)).toBe('A6Nco6sqoy18PPfPDVdYvoowfc0PVBk9g9OiyT3ncRM');
  });

  it('hash and sign a message without origin', () => {
    const event = {
      content: { body: 'Here is the message content' },
      event_id: '$0:domain',
      origin_server_ts: 1000000,
      type: 'm.room.message',
      room_id: '!r:domain',
      sender: '@u:domain',
      signatures: {},
      unsigned: { age_ts: 1000000 },
    };
    const signed = signEvent(event, version1, signer);
    expect(signed['hashes']).toEqual({ sha256: 'rDCeYBepPlI891h/RkI2/Lkf9bt7u0TxFku4tMs7WKk' });
    expect(signatureOf(signed)).toBe(
      'Ay4aj2b5oJ1k8INYZ9n3KnszCflM0emwcmQQ7vxpbdcSv9bkJxIZdWX1IJllcZLq89+D3sSabE+vqPtZs9akDw',
    );
  });
});

describe('a signed event', () => {
  const signed = signEvent(
    {
      type: 'm.room.message',
      sender: '@a:domain',
      room_id: '!r:domain',
      content: { body: 'hello' },
      depth: 1,
    },
    ROOM_VERSIONS['11']!,
    signer,
  );

  it('keeps a valid signature and loses its content hash when the body is changed', () => {
    const changed = { ...signed, content: { body: 'goodbye' } };
    expect(verifyContentHash(signed)).toBe(true);
    expect(verifyContentHash(changed)).toBe(false);
    expect(
      verifyEventSignature(changed, ROOM_VERSIONS['11']!, 'domain', 'ed25519:1', signer.key.publicKey),
    ).toBe(true);
  });

  it('is refused under another key, another name and another key id', () => {
    const other = signingKeyFromSeed(new Uint8Array(32).fill(7)).publicKey;
    expect(verifyEventSignature(signed, ROOM_VERSIONS['11']!, 'domain', 'ed25519:1', other)).toBe(false);
    expect(
      verifyEventSignature(signed, ROOM_VERSIONS['11']!, 'other', 'ed25519:1', signer.key.publicKey),
    ).toBe(false);
    expect(
      verifyEventSignature(signed, ROOM_VERSIONS['11']!, 'domain', 'ed25519:2', signer.key.publicKey),
    ).toBe(false);
  });
});

describe('unpadded base64', () => {
  it('follows the examples of the specification', () => {
    const examples = {
      '': '',
      f: 'Zg',
      fo: 'Zm8',
      foo: 'Zm9v',
      foob: 'Zm9vYg',
      fooba: 'Zm9vYmE',
      foobar: 'Zm9vYmFy',
    };
    for (const [text, encoded] of Object.entries(examples)) {
      expect(encodeBase64(Buffer.from(text))).toBe(encoded);
      expect(Buffer.from(decodeBase64(encoded)!).toString()).toBe(text);
    }
    expect(decodeBase64('no base64!')).toBeUndefined();
  });
});
