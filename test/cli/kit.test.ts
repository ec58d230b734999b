import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EXIT } from '../../src/core/errors.ts';
import { backUp, makeRepository, sampleSource, type Fixture } from '../repository/fixture.ts';
import { unzip } from '../verify/report/unzip.ts';
import { lifeboat, type Run } from './run.ts';

let fixture: Fixture;
let identityFile: string;
let zip: string;

beforeEach(async () => {
  fixture = await makeRepository();
  await backUp(await fixture.open(), sampleSource());
  identityFile = join(fixture.directory, 'identity');
  zip = join(fixture.directory, 'kit.zip');
  await writeFile(identityFile, `${fixture.identity.reveal()}\n`, { mode: 0o600 });
  await writeFile(
    join(fixture.directory, 'lifeboat.yaml'),
    `version: 1
homeserver: {kind: synapse, config: [/nowhere/homeserver.yaml]}
repository:
  path: repository
  host_key_file: host.key
  state_directory: state
  identity_file: identity
  copies: [{name: away, path: 's3:https://s3.example/bucket', s3: {access_key_id: AKIA1, secret_access_key: canary-2c8d}}]
`,
  );
});

afterEach(() => fixture[Symbol.asyncDispose]());

function run(...argv: string[]): Promise<Run> {
  return lifeboat(['--config', join(fixture.directory, 'lifeboat.yaml'), 'kit', ...argv]);
}

async function contents(): Promise<string> {
  return [...unzip(await readFile(zip)).values()].map((bytes) => bytes.toString('latin1')).join('\n');
}

describe('lifeboat kit', () => {
  it('holds the identity that is named on the command line, and shows it nowhere else', async () => {
    const { status, stdout, stderr } = await run('--identity', identityFile, '--output', zip);
    expect(stdout).toContain(`The recovery kit is in ${zip}.`);
    expect(stdout).toContain('which opens every backup');
    expect(stdout + stderr).not.toContain(fixture.identity.reveal());
    expect(await contents()).toContain(fixture.identity.reveal());
    expect(status).toBe(EXIT.ok);
  });

  it('holds no identity that is only configured, but what it opens of the public keys; and no credentials', async () => {
    const { status, messages } = await run('--output', zip, '--json');
    expect(messages).toMatchObject([{ command: 'kit', file: zip, identities_of: [], signing_keys: true }]);
    const all = await contents();
    expect(all).not.toContain(fixture.identity.reveal());
    expect(all).toContain('s3:https://s3.example/bucket');
    expect(all).not.toMatch(/canary-2c8d|AKIA1/);
    expect(status).toBe(EXIT.ok);
  });

  it('asks for a file, and for a new one', async () => {
    expect(await run('--identity', identityFile)).toMatchObject({
      status: EXIT.usage,
      stderr: expect.stringContaining('kit needs --output FILE.zip'),
    });
    await writeFile(zip, '');
    expect(await run('--output', zip)).toMatchObject({
      status: EXIT.preflightRefused,
      stderr: expect.stringContaining(`${zip} exists already`),
    });
    expect((await stat(zip)).size).toBe(0);
  });
});
