import { describe, expect, it } from 'vitest';
import { signingKeyFromSeed } from '../../../src/core/ed25519.ts';
import { parseXMatrix, verifyXMatrix, xMatrixHeader } from '../../../src/verify/events/x-matrix.ts';

const signer = {
  name: 'probe.example:8448',
  keyId: 'ed25519:p',
  key: signingKeyFromSeed(new Uint8Array(32).fill(1)),
};
const request = {
  method: 'PUT',
  uri: '/_matrix/federation/v1/send/1?a=b',
  destination: 'example.com',
  content: { pdus: [] },
};

describe('the X-Matrix header', () => {
  it('verifies at the other end', () => {
    const header = parseXMatrix(xMatrixHeader(request, signer))!;
    expect(header).toMatchObject({
      origin: 'probe.example:8448',
      destination: 'example.com',
      key: 'ed25519:p',
    });
    expect(verifyXMatrix({ ...request, origin: signer.name }, header, signer.key.publicKey)).toBe(true);
  });

  it('covers method, path, body, origin and destination', () => {
    const header = parseXMatrix(xMatrixHeader(request, signer))!;
    const good = { ...request, origin: signer.name };
    for (const bad of [
      { ...good, method: 'GET' },
      { ...good, uri: '/other' },
      { ...good, content: { pdus: [1] } },
      { ...good, origin: 'somebody.else' },
      { ...good, destination: 'somebody.else' },
    ]) {
      expect(verifyXMatrix(bad, header, signer.key.publicKey)).toBe(false);
    }
  });

  it('is refused when it names another destination than the one it was signed for', () => {
    const header = parseXMatrix(xMatrixHeader(request, signer))!;
    const good = { ...request, origin: signer.name };
    expect(verifyXMatrix(good, { ...header, destination: 'elsewhere.example' }, signer.key.publicKey)).toBe(
      false,
    );
    expect(verifyXMatrix(good, { ...header, destination: undefined }, signer.key.publicKey)).toBe(true);
  });

  it('is read with bare tokens, escaped quotes, spaces and any case of names', () => {
    const parsed = parseXMatrix(
      'X-Matrix Origin=a.example , KEY="ed25519:\\"k" ,sig=abc+/, destination="b.example:1"',
    );
    expect(parsed).toEqual({
      origin: 'a.example',
      key: 'ed25519:"k',
      sig: 'abc+/',
      destination: 'b.example:1',
    });
  });

  it.each([
    '',
    'Bearer x',
    'X-Matrix',
    'X-Matrix origin=a',
    'X-Matrix origin="a,key=b,sig=c',
    'X-Matrix ,,,',
  ])('refuses %j', (header) => {
    expect(parseXMatrix(header)).toBeUndefined();
  });
});
