import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../../src/core/errors.ts';
import {
  fingerprint,
  formatSigningKey,
  oldSigningKeysBlock,
  parseSigningKeys,
  readSigningKeys,
} from '../../../src/homeserver/synapse/signing-key.ts';
import { SIGNING_KEY, tree } from './tree.ts';

/** By signedjson 1.1.4 and unpaddedbase64, from the seed in SIGNING_KEY. */
const PUBLIC = 'LzRWTYY5jlbaChCuKkdaQ4ztz3S4RYxlvS1hXScKMF4';
const FINGERPRINT = 'SHA256:cAQ+wbMmrrfC3J/eF9phULtjz9OVwnnj/VN4at03ADw';

describe('signing keys', () => {
  it('have the public half that signedjson computes', () => {
    expect(parseSigningKeys(SIGNING_KEY, 'k')).toMatchObject([
      { keyId: 'ed25519:a_Kcaf', publicKey: PUBLIC, file: 'k' },
    ]);
  });

  it('are written as they were read', () => {
    const [key] = parseSigningKeys(SIGNING_KEY, 'k');
    expect(formatSigningKey(key!)).toBe(SIGNING_KEY);
  });

  it('have a fingerprint in the manner of OpenSSH', () => {
    expect(fingerprint({ keyId: 'ed25519:a_Kcaf', publicKey: PUBLIC })).toBe(FINGERPRINT);
  });

  it('may be several in a file, with blank lines between', () => {
    const second = SIGNING_KEY.replace('a_Kcaf', 'b_2');
    expect(parseSigningKeys(`\n${SIGNING_KEY}\n\n${second}`, 'k').map((key) => key.keyId)).toEqual([
      'ed25519:a_Kcaf',
      'ed25519:b_2',
    ]);
  });

  it.each([
    ['a cut seed', SIGNING_KEY.slice(0, -3)],
    ['another algorithm', SIGNING_KEY.replace('ed25519', 'curve25519')],
    ['a missing version', SIGNING_KEY.replace('a_Kcaf ', '')],
    ['nothing', '\n'],
  ])('are refused with %s, and never quoted', (_, text) => {
    const parse = () => parseSigningKeys(text, '/etc/signing.key');
    expect(parse).toThrow(
      expect.objectContaining({
        code: 'homeserver-config-invalid',
        message: expect.stringContaining('/etc/signing.key'),
      }),
    );
    expect(inspect(thrownBy(parse))).not.toContain('ka2HRTcF');
  });

  it('are found inline in a homeserver.yaml, and none there is fine', async () => {
    const root = await tree({
      'in.yaml': `signing_key: "${SIGNING_KEY.trim()}"\n`,
      'out.yaml': 'server_name: a\n',
    });
    expect(await readSigningKeys(join(root, 'in.yaml'), 'homeserver-config')).toMatchObject([
      { publicKey: PUBLIC },
    ]);
    expect(await readSigningKeys(join(root, 'out.yaml'), 'homeserver-config')).toEqual([]);
  });

  it('make a block that Synapse takes as old_signing_keys', () => {
    const block = oldSigningKeysBlock([{ keyId: 'ed25519:a_Kcaf', publicKey: PUBLIC }], 1_700_000_000_000);
    expect(block).toBe(
      `old_signing_keys:\n  "ed25519:a_Kcaf": { key: "${PUBLIC}", expired_ts: 1700000000000 }\n`,
    );
  });

  it('show no seed when they are printed', () => {
    expect(inspect(parseSigningKeys(SIGNING_KEY, 'k'))).not.toContain('ka2HRTcF');
  });
});

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error instanceof LifeboatError ? { ...error, message: error.message, stack: error.stack } : error;
  }
  return undefined;
}
