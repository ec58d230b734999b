import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configuredKeys } from '../../src/restore/configured-keys.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-old-keys-'));
});
afterEach(() => rm(directory, { recursive: true }));

const sourceWith = (yaml: string) => ({
  placeConfig: async (target: string) => {
    const path = join(target, 'homeserver.yaml');
    await writeFile(path, yaml);
    return [{ path, source: '/etc/homeserver.yaml', role: 'homeserver-config' }];
  },
});

describe('keys in the configuration', () => {
  it('are the retired ones that it declares, and nothing of it stays', async () => {
    const yaml = 'server_name: a\nold_signing_keys:\n  "ed25519:old": {key: "AAAA", expired_ts: 1}\n';
    expect(await configuredKeys(sourceWith(yaml), directory)).toEqual({
      retired: [{ keyId: 'ed25519:old', publicKey: 'AAAA' }],
      inline: [],
    });
    expect(await readdir(directory)).toEqual([]);
  });

  it('are the current ones where there is no key file', async () => {
    // The seed of the specification's cryptographic test vectors.
    const yaml = 'signing_key: "ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1"\n';
    const { inline } = await configuredKeys(sourceWith(yaml), directory);
    expect(inline).toEqual([
      { keyId: 'ed25519:1', publicKey: 'XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI' },
    ]);
  });

  it.each([
    'server_name: a\n',
    'old_signing_keys: nonsense\n',
    'old_signing_keys: {"ed25519:x": null}\n',
    '{broken',
  ])('are none where none can be read: %j', async (yaml) => {
    expect(await configuredKeys(sourceWith(yaml), directory)).toEqual({ retired: [], inline: [] });
    expect(await readdir(directory)).toEqual([]);
  });
});
