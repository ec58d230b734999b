import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.ts';
import { Secret } from '../../src/core/secret.ts';
import { compareIdentity } from '../../src/jobs/compare-identity.ts';
import { identityChanges } from '../../src/jobs/identity-changes.ts';
import {
  lastSeenFile,
  lastSeenOf,
  readLastSeen,
  writeLastSeen,
  type Seen,
} from '../../src/jobs/last-seen.ts';

const KEY = Buffer.alloc(32, 1);
const NOW = new Date('2026-01-01T00:00:00Z');
const PEPPER = 'a pepper of the test';

const key = (keyId: string, publicKey = `public half of ${keyId}`) => ({
  keyId,
  publicKey,
  file: '/etc/signing.key',
  seed: new Secret('seed of the test, never written'),
});
const secret = (name: string, value: string, file = '/etc/homeserver.yaml') => ({
  name,
  file,
  value: new Secret(value),
});

interface Parts {
  readonly serverName?: string;
  readonly keys?: readonly ReturnType<typeof key>[];
  readonly old?: Record<string, unknown>;
  readonly secrets?: readonly ReturnType<typeof secret>[];
  readonly schema?: number;
  readonly version?: string;
}

function valueOf(parts: Parts = {}): Seen {
  return {
    inventory: {
      serverName: parts.serverName ?? 'example.org',
      signingKeys: parts.keys ?? [key('ed25519:a_1')],
      secrets: parts.secrets ?? [secret('password_config.pepper', PEPPER), secret('form_secret', 'form 1')],
      merged: parts.old === undefined ? {} : { old_signing_keys: parts.old },
    },
    homeserver: { kind: 'synapse', version: parts.version ?? '1.163.2' },
    facts: { schema_version: parts.schema ?? 94, users: 3 },
  };
}

function seen(parts: Parts = {}, hostKey = KEY) {
  return lastSeenOf(valueOf(parts), hostKey, NOW);
}

const changes = (after: Parts, before: Parts = {}) => identityChanges(seen(before), seen(after));

describe('what changed since the last backup', () => {
  it('is nothing at the first one, and nothing when all is the same', () => {
    expect(identityChanges(undefined, seen())).toEqual([]);
    expect(changes({})).toEqual([]);
  });

  it('is an alarm when a signing key is gone and stands not in old_signing_keys, the loudest of all', () => {
    const found = changes({ keys: [key('ed25519:a_2')] });
    expect(found.map(({ what, alarm }) => [what, alarm])).toEqual([
      ['signing-key', true],
      ['signing-key', false],
    ]);
    expect(found[0]!.text).toMatch(/^CHANGED .*ed25519:a_1 is gone and does not stand in old_signing_keys/);
  });

  it('is no alarm when the key was retired as Synapse wants it', () => {
    const found = changes({ keys: [key('ed25519:a_2')], old: { 'ed25519:a_1': {} } });
    expect(found.map(({ alarm }) => alarm)).toEqual([false, false]);
  });

  it('is an alarm when another key has the same id, or an old one is no longer published', () => {
    expect(changes({ keys: [key('ed25519:a_1', 'another')] })).toMatchObject([
      { alarm: true, text: expect.stringContaining('another one under the same name') },
    ]);
    expect(changes({}, { old: { 'ed25519:a_0': {} } })).toMatchObject([
      { alarm: true, text: expect.stringContaining('no longer has ed25519:a_0') },
    ]);
  });

  it('is an alarm for another server name, and for secrets that changed or are gone, with their names only', () => {
    expect(changes({ serverName: 'example.com' })).toMatchObject([{ what: 'server-name', alarm: true }]);
    const found = changes({
      secrets: [secret('password_config.pepper', 'another pepper'), secret('new', 'x')],
    });
    expect(found.map(({ text, alarm }) => [alarm, text])).toEqual([
      [
        true,
        expect.stringMatching(
          /other values: password_config\.pepper \(\/etc\/homeserver\.yaml\); with another pepper nobody can log in/,
        ),
      ],
      [true, expect.stringContaining('these secrets are gone: form_secret')],
      [false, 'since the last backup: these secrets are new: new (/etc/homeserver.yaml)'],
    ]);
    expect(JSON.stringify(found)).not.toContain('another pepper"');
  });

  it('tells an upgrade without alarm, and a schema that went back with one', () => {
    expect(changes({ schema: 95, version: '1.170.0' }).map(({ what, alarm }) => [what, alarm])).toEqual([
      ['schema', false],
      ['homeserver', false],
    ]);
    expect(changes({ schema: 90 })).toMatchObject([{ what: 'schema', alarm: true }]);
  });

  it('says nothing of secrets when the host has another key, by which all fingerprints differ', () => {
    expect(identityChanges(seen({}, Buffer.alloc(32, 2)), seen())).toEqual([]);
  });
});

describe('secrets of one name in two files', () => {
  const two = (first: string, second: string) => ({
    secrets: [
      secret('environment TOKEN', first, '/etc/a.env'),
      secret('environment TOKEN', second, '/etc/b.env'),
    ],
  });

  it('are told apart: when either changes that is an alarm with its file', () => {
    expect(changes(two('x', '2'), two('1', '2')).map(({ text }) => text)).toEqual([
      expect.stringMatching(/other values: environment TOKEN \(\/etc\/a\.env\)$/),
    ]);
  });

  it('are the same when one moves to another file with its value', () => {
    const moved = { secrets: [secret('form_secret', '1', '/etc/conf.d/secrets.yaml')] };
    expect(changes(moved, { secrets: [secret('form_secret', '1')] })).toEqual([]);
  });
});

describe('what a host remembers', () => {
  it('is of each homeserver by itself, where several share state directory and repository', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lifeboat-seen-'));
    await writeFile(join(directory, 'host.key'), 'key of the test');
    const night = async (configFile: string, serverName: string) => {
      const repository = { stateDirectory: directory, hostKeyFile: join(directory, 'host.key') };
      const config = { file: configFile, repository } as unknown as Config;
      const { changes: found, remember } = await compareIdentity(
        valueOf({ serverName }),
        config,
        'repository-1',
      );
      return [...found, ...(await remember())];
    };
    for (let run = 0; run < 2; run += 1) {
      expect(await night('/etc/lifeboat/one.yaml', 'one.example')).toEqual([]);
      expect(await night('/etc/lifeboat/two.yaml', 'two.example')).toEqual([]);
    }
    expect(await night('/etc/lifeboat/two.yaml', 'one.example')).toMatchObject([{ what: 'server-name' }]);
    await rm(directory, { recursive: true });
  });

  it('is an omission when it cannot be written: the snapshot is there all the same', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lifeboat-seen-'));
    await writeFile(join(directory, 'host.key'), 'key of the test');
    await writeFile(join(directory, 'identity'), 'no directory');
    const repository = { stateDirectory: directory, hostKeyFile: join(directory, 'host.key') };
    const config = { file: '/etc/lifeboat.yaml', repository } as unknown as Config;
    const { remember } = await compareIdentity(valueOf(), config, 'repository-1');
    expect(await remember()).toEqual([expect.stringContaining('the snapshot is stored, but not what')]);
    await rm(directory, { recursive: true });
  });

  it('holds no secret and no hash that another host could compare, is private, and comes back as it was', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lifeboat-seen-'));
    const file = lastSeenFile(directory, 'repository-1', '/etc/lifeboat.yaml');
    expect(await readLastSeen(file)).toBeUndefined();
    await writeLastSeen(file, seen());
    expect(await readLastSeen(file)).toEqual(seen());
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const text = await readFile(file, 'utf8');
    expect(text).not.toMatch(/pepper of the test|form 1|seed/);
    expect(seen({}, Buffer.alloc(32, 2)).secrets).not.toEqual(seen().secrets);
    await writeFile(file, '{"v":1');
    expect(await readLastSeen(file)).toBeUndefined();
    await rm(directory, { recursive: true });
  });
});
