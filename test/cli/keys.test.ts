import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateX25519Identity } from 'age-encryption';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/core/errors.ts';
import { generateIdentity, recipientOf } from '../../src/repository/seal.ts';
import { backUp, makeRepository, sampleSource, type Fixture } from '../repository/fixture.ts';
import { lifeboat, type Run } from './run.ts';

let fixture: Fixture;
let identityFile: string;
let first: string;

beforeEach(async () => {
  fixture = await makeRepository();
  first = await recipientOf(fixture.identity.reveal());
  identityFile = await writeIdentity('identity', fixture.identity.reveal());
  await writeFile(
    join(fixture.directory, 'lifeboat.yaml'),
    `version: 1
homeserver: {kind: synapse, config: [/nowhere/homeserver.yaml]}
repository: {path: repository, host_key_file: host.key, admin_key_file: admin.key, state_directory: state}
`,
  );
});

afterEach(() => fixture[Symbol.asyncDispose]());

async function writeIdentity(name: string, identity: string): Promise<string> {
  const file = join(fixture.directory, name);
  await writeFile(file, `${identity}\n`, { mode: 0o600 });
  return file;
}

function run(...argv: string[]): Promise<Run> {
  return lifeboat(['--config', join(fixture.directory, 'lifeboat.yaml'), ...argv]);
}

describe('lifeboat keys', () => {
  it('lists who can open and sign what, since when, and where the key files are, without a key or a secret', async () => {
    const added = await generateIdentity();
    await (await fixture.open()).addRecipients([added.recipient]);
    const { status, stdout, stderr } = await run('keys');
    const { indexRecipient, hostPublicKey, adminPublicKey } = await (await fixture.open()).keys();
    const rows = stdout.split('\n').map((line) => line.split(/ {2,}/));
    expect(rows.slice(1, 6)).toEqual([
      ['recovery', 'open everything', 'init', first],
      ['recovery', 'open everything', 'record 2', added.recipient],
      ['host', 'open the index, nothing else', 'init', indexRecipient],
      ['host', 'sign snapshots, verifies, drills', 'init', hostPublicKey],
      ['admin', expect.stringContaining('changes of recipients'), 'init', adminPublicKey],
    ]);
    expect(stdout).toMatch(/^recovery identity +none is configured/m);
    expect(stdout).toContain(join(fixture.directory, 'admin.key'));
    expect(stdout + stderr).not.toMatch(/SECRET/i);
    expect(status).toBe(EXIT.ok);
  });

  it('is the same as keys list, for programs too', async () => {
    const [short, long] = [await run('keys', '--json'), await run('keys', 'list', '--json')];
    expect(short).toEqual(long);
    expect(short.messages).toMatchObject([
      {
        command: 'keys list',
        recovery: [{ recipient: first, since_record: 1 }],
        files: { host_key: join(fixture.directory, 'host.key'), identity: null },
        can_read: false,
      },
    ]);
  });
});

describe('lifeboat keys add and remove', () => {
  it('let another identity open old snapshots, and take one off again with a word about what that is worth', async () => {
    const { entry } = await backUp(await fixture.open(), sampleSource());
    const [one, two] = await Promise.all([generateIdentity(), generateIdentity()]);
    const second = await writeIdentity('second', one.identity.reveal());
    expect((await run('show', entry.id, '--identity', second)).status).toBe(EXIT.wrongKey);

    const added = await run('keys', 'add', one.recipient, two.recipient, '--identity', identityFile);
    expect(added.stdout).toMatch(new RegExp(`${first} +init\n${one.recipient} +record 3\n`));
    expect(added).toMatchObject({ status: EXIT.ok, stderr: '' });
    expect((await run('show', entry.id, '--identity', second)).status).toBe(EXIT.ok);

    const removed = await run('keys', 'remove', two.recipient, first, '--identity', second, '--json');
    expect(removed.stderr).toContain('age cannot revoke');
    expect(removed.messages.map(({ message_type: type }) => type)).toEqual(['warning', 'summary']);
    expect(removed.messages.at(-1)).toMatchObject({ recovery: [{ recipient: one.recipient }] });
    const refused = await run('show', entry.id, '--identity', identityFile);
    expect(refused.stderr).toContain(`needed that of ${one.recipient}`);
    expect(refused.status).toBe(EXIT.wrongKey);
    expect(await run('keys', 'remove', one.recipient, '--identity', second)).toMatchObject({
      status: EXIT.usage,
      stderr: expect.stringContaining('nobody could open the repository any more'),
    });
  });

  it('never repeat a secret key that was given for a recipient', async () => {
    const { recipient } = await generateIdentity();
    // Not one of our type `Secret`, which would be masked because it is known.
    const secret = await generateX25519Identity();
    for (const given of [secret, secret.toLowerCase(), secret.slice('AGE-SECRET-KEY-'.length)]) {
      for (const argv of [
        ['add', given],
        ['remove', given],
        ['add', recipient, given],
      ]) {
        for (const more of [[], ['--json'], ['--verbose']]) {
          const { status, stdout, stderr } = await run('keys', ...argv, '--identity', identityFile, ...more);
          expect(status).toBe(EXIT.usage);
          expect((stdout + stderr).toUpperCase()).not.toContain(secret.slice(20, 50));
        }
      }
    }
    expect((await (await fixture.open()).keys()).recipients).toHaveLength(1);
    // Nor where no recipient is expected at all.
    for (const argv of [
      ['keys', secret],
      ['keys', 'list', secret],
      ['keys', 'list', secret.toLowerCase()],
      [secret],
    ])
      expect((await run(...argv)).stderr.toUpperCase()).not.toContain(secret.slice(20, 50));
  });

  it('are refused without an identity, or without the admin key', async () => {
    const { recipient } = await generateIdentity();
    const hardened = join(fixture.directory, 'hardened.yaml');
    await writeFile(
      hardened,
      `version: 1
homeserver: {kind: synapse, config: [/nowhere/homeserver.yaml]}
repository: {path: repository, host_key_file: host.key, state_directory: state}
`,
    );
    for (const [argv, problem] of [
      [[], 'no recovery identity was given'],
      [['--identity', identityFile, '--config', hardened], 'no admin key file was given'],
      [['--identity', identityFile, '-r', fixture.root, '--config', hardened], 'no admin key file was given'],
    ] as const) {
      const { status, stderr } = await run('keys', 'add', recipient, ...argv);
      expect(stderr).toContain(problem);
      expect(status).toBe(EXIT.wrongKey);
    }
  });
});
