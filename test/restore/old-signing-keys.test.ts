import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { retiredKeys } from '../../src/restore/old-signing-keys.ts';

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

describe('keys that were retired', () => {
  it('are those that the configuration declares, and nothing of it stays', async () => {
    const yaml = 'server_name: a\nold_signing_keys:\n  "ed25519:old": {key: "AAAA", expired_ts: 1}\n';
    expect(await retiredKeys(sourceWith(yaml), directory)).toEqual([
      { keyId: 'ed25519:old', publicKey: 'AAAA' },
    ]);
    expect(await readdir(directory)).toEqual([]);
  });

  it.each([
    'server_name: a\n',
    'old_signing_keys: nonsense\n',
    'old_signing_keys: {"ed25519:x": null}\n',
    '{broken',
  ])('are none where none can be read: %j', async (yaml) => {
    expect(await retiredKeys(sourceWith(yaml), directory)).toEqual([]);
    expect(await readdir(directory)).toEqual([]);
  });
});
