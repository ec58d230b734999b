import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { initialise, type InitOptions } from '../../src/jobs/init.ts';
import { newSeed } from '../../src/core/ed25519.ts';

let directory: string;
let options: InitOptions;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-init-'));
  const key = Buffer.from(newSeed()).toString('base64').replaceAll('=', '');
  await writeFile(join(directory, 'signing.key'), `ed25519 a ${key}\n`, { mode: 0o600 });
  await mkdir(join(directory, 'media'));
  await writeFile(
    join(directory, 'homeserver.yaml'),
    [
      'server_name: example.com',
      'database: {name: psycopg2, args: {host: 127.0.0.1, port: 1, user: u, dbname: d}}',
      `media_store_path: ${directory}/media`,
      `signing_key_path: ${directory}/signing.key`,
      '',
    ].join('\n'),
  );
  options = {
    homeserverConfig: [join(directory, 'homeserver.yaml')],
    repository: join(directory, 'repository'),
    configFile: join(directory, 'lifeboat', 'lifeboat.yaml'),
    recipients: [],
    identityOut: join(directory, 'identity'),
    clock: systemClock,
  };
});

afterEach(() => rm(directory, { recursive: true }));

const made = async () =>
  (await readdir(directory)).filter((name) => !['homeserver.yaml', 'media', 'signing.key'].includes(name));

describe('init that fails', () => {
  it('at lifeboat.yaml makes no repository whose identity nobody would have seen', async () => {
    const configFile = join(directory, 'lifeboat', `${'x'.repeat(300)}.yaml`);
    await expect(initialise({ ...options, configFile })).rejects.toMatchObject({ code: 'file-unwritable' });
    expect(await made()).toEqual(['lifeboat']);
    expect(await readdir(join(directory, 'lifeboat'))).toEqual([]);
  });

  it('at the repository takes back lifeboat.yaml, the keys and the identity', async () => {
    await writeFile(join(directory, 'obstacle'), '');
    const repository = join(directory, 'obstacle', 'repository');
    await expect(initialise({ ...options, repository })).rejects.toMatchObject({ code: 'file-unwritable' });
    expect((await made()).toSorted()).toEqual(['lifeboat', 'obstacle']);
    expect(await readdir(join(directory, 'lifeboat'))).toEqual([]);
    await initialise(options);
    expect(await readdir(join(directory, 'lifeboat'))).toContain('lifeboat.yaml');
  });
});
