import { execFile } from 'node:child_process';
import { webcrypto } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Decrypter } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { CommitResult, Repository } from '../../src/repository/port.ts';
import { generateIdentity } from '../../src/repository/seal.ts';
import { backUp, makeRepository, readBack, sampleSource, type Fixture } from '../repository/fixture.ts';
import { listAll } from '../repository/memory-store.ts';

const run = promisify(execFile);
/** RFC 8410: an X25519 private key in PKCS #8 is this and its 32 bytes. */
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');

let fixture: Fixture;
/** All that the homeserver's machine has: its key file, what it remembers, and the store. No identity, no admin key. */
let host: string;
let hostKeyFile: string;
const source = sampleSource();
const results: CommitResult[] = [];

function openAsHost(identities: readonly Secret[] = []): Promise<Repository> {
  const stateDirectory = join(host, 'state');
  return fixture.open({ hostKeyFile, adminKeyFile: undefined, identities, stateDirectory });
}

beforeAll(async () => {
  fixture = await makeRepository();
  await (await fixture.open()).addRecipients([(await generateIdentity()).recipient]);
  host = join(fixture.directory, 'host');
  hostKeyFile = join(host, 'host.key');
  await mkdir(host, { mode: 0o700 });
  await copyFile(join(fixture.directory, 'host.key'), hostKeyFile);
  for (let night = 0; night < 2; night += 1) results.push(await backUp(await openAsHost(), source));
});

afterAll(() => fixture[Symbol.asyncDispose]());

async function sealedObjects(): Promise<string[]> {
  return (await listAll(fixture.store)).map(({ key }) => key).filter((key) => key.endsWith('.age'));
}

/** Class of objects -> whether each of them was opened, none, or some. */
async function opened(tryToOpen: (key: string) => Promise<unknown>): Promise<Record<string, string>> {
  const classes: Record<string, string> = {};
  for (const key of await sealedObjects()) {
    const name = key.split('/')[0]!;
    const result = await tryToOpen(key).then(
      () => 'opened',
      () => 'refused',
    );
    classes[name] = (classes[name] ?? result) === result ? result : 'both';
  }
  return classes;
}

const REFUSED = { packs: 'refused', manifests: 'refused', archives: 'refused', keys: 'refused' };

describe('a host with public keys and its own index key', () => {
  it('backs up, and stores next to nothing when there is nothing new', () => {
    const [first, second] = results as [CommitResult, CommitResult];
    expect(first.storedBytes).toBeGreaterThan(300_000);
    expect(second).toMatchObject({ newBlobs: 0, newPacks: 0 });
    expect(second.reusedBlobs).toBe(first.newBlobs + first.reusedBlobs);
    expect(second.storedBytes).toBeLessThan(20_000);
  });

  it('opens the index and nothing else with age, whatever key it finds in its files', async () => {
    const { index_identity: index } = JSON.parse(await readFile(hostKeyFile, 'utf8')) as Record<
      string,
      string
    >;
    const identityFile = join(host, 'stolen.txt');
    await writeFile(identityFile, `${index}\n`, { mode: 0o600 });
    const withAge = (key: string) =>
      run('age', ['-d', '-i', identityFile, '-o', join(host, 'opened'), join(fixture.root, key)]);
    expect(await opened(withAge)).toEqual({ ...REFUSED, index: 'opened' });
  });

  it('opens nothing with its other secrets either, taken for X25519 keys', async () => {
    const text = await readFile(hostKeyFile, 'utf8');
    const secrets = [...text.matchAll(/"([0-9a-f]{64})"/g)].map(([, hex]) => Buffer.from(hex!, 'hex'));
    expect(secrets).toHaveLength(2);
    for (const secret of secrets) {
      const pkcs8 = Buffer.concat([PKCS8_X25519, secret]);
      const identity = await webcrypto.subtle.importKey('pkcs8', pkcs8, 'X25519', false, ['deriveBits']);
      const decrypter = new Decrypter();
      decrypter.addIdentity(identity);
      const withKey = async (key: string) => decrypter.decrypt(await fixture.store.get(key));
      expect(await opened(withKey)).toEqual({ ...REFUSED, index: 'refused' });
    }
  });

  it('is told by lifeboat itself that it cannot read what it has just written', async () => {
    const { index_identity: index } = JSON.parse(await readFile(hostKeyFile, 'utf8')) as Record<
      string,
      string
    >;
    for (const [code, identities] of [
      ['identity-missing', []],
      ['identity-wrong', [new Secret(index!)]],
    ] as const) {
      const repository = await openAsHost(identities);
      const reading = repository.manifest(results[0]!.entry.id);
      await expect(reading).rejects.toMatchObject({ code });
      const checking = repository.check({ readData: 'all', decrypt: true });
      await expect(checking).rejects.toMatchObject({ code });
    }
  });

  it('has made snapshots that the recovery identity opens', async () => {
    for (const { entry } of results) expect(await readBack(await fixture.open(), entry.id)).toEqual(source);
  });
});
