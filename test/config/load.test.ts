import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findConfig, loadConfig, renderConfig, type Config } from '../../src/config/index.ts';
import type { LifeboatError } from '../../src/core/errors.ts';

const GOOD = `version: 1
homeserver:
  kind: synapse
  config: [homeserver.yaml]
repository:
  path: /srv/lifeboat
  host_key_file: host.key
  state_directory: state
`;

let directory: string;
let file: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-config-'));
});
beforeEach(() => {
  file = join(directory, 'lifeboat.yaml');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function load(text: string, env: Record<string, string> = {}): Promise<Config> {
  await writeFile(file, text);
  return loadConfig(file, env);
}

async function refusal(text: string, env: Record<string, string> = {}): Promise<LifeboatError> {
  return load(text, env).then(
    () => expect.unreachable('it was accepted'),
    (error: LifeboatError) => error,
  );
}

describe('a good file', () => {
  it('needs only what has no default, and makes paths absolute from its own directory', async () => {
    const config = await load(GOOD);
    expect(config.homeserver).toMatchObject({
      kind: 'synapse',
      config: [join(directory, 'homeserver.yaml')],
    });
    expect(config.repository).toMatchObject({
      path: '/srv/lifeboat',
      hostKeyFile: join(directory, 'host.key'),
    });
    expect(config.retention).toMatchObject({ keepDaily: 7, keepWeekly: 4, keepMonthly: 12, floor: 3 });
    expect(config.media.classes).toEqual(['local_content', 'local_thumbnails']);
    expect(config.drill.peer).toBe(false);
  });

  it('names further databases, each by its own name and with its own password', async () => {
    const also = `  also:\n    - name: mas\n    - {name: bridge, database: signal, user: lifeboat, password: {env: BRIDGE}}\n`;
    const { database } = await load(`${GOOD}database:\n${also}  ignore: [nextcloud]\n`, { BRIDGE: 'secret' });
    expect(database.also).toMatchObject([
      { name: 'mas', database: 'mas', user: undefined, password: undefined },
      { name: 'bridge', database: 'signal', user: 'lifeboat' },
    ]);
    expect(database.also[1]!.password?.reveal()).toBe('secret');
    expect(database.ignore).toEqual(['nextcloud']);
    for (const bad of ['[{name: mas}, {name: mas}]', '[{name: ../mas}]', '[{name: postgres}]'])
      expect((await refusal(`${GOOD}database:\n  also: ${bad}\n`)).code).toBe('config-invalid');
  });

  it('takes values from the environment, as numbers where they stand unquoted', async () => {
    const text = `${GOOD}database:\n  host: "\${DB_HOST}"\n  port: \${DB_PORT}\n  user: a$\${b}\n`;
    const config = await load(text, { DB_HOST: 'db', DB_PORT: '5433' });
    expect(config.database).toMatchObject({ host: 'db', port: 5433, user: 'a${b}' });
  });

  it('reads a password from text, file or variable, and never prints it', async () => {
    await writeFile(join(directory, 'password'), 'from a file\n');
    const ways = {
      'text in place': '"text in place"',
      'from a file': '{file: password}',
      'from a variable': '{env: DB_PASSWORD}',
    };
    for (const [expected, written] of Object.entries(ways)) {
      const config = await load(`${GOOD}database: {password: ${written}}\n`, {
        DB_PASSWORD: 'from a variable',
      });
      expect(config.database.password?.reveal()).toBe(expected);
      expect(JSON.stringify(config)).not.toContain(expected);
    }
  });

  it('gives way to LIFEBOAT_ variables, of which an empty one counts as unset', async () => {
    const env = { LIFEBOAT_REPOSITORY: '/mnt/other', LIFEBOAT_IDENTITY_FILE: '' };
    const { repository } = await load(GOOD, env);
    expect(repository.path).toBe('/mnt/other');
    expect(repository.identityFile).toBeUndefined();
  });

  it('is what lifeboat writes itself', async () => {
    const values = {
      homeserverConfig: ['/etc/matrix-synapse/homeserver.yaml'],
      program: undefined,
      repository: '/srv/life: boat',
      hostKeyFile: '/etc/lifeboat/host.key',
      adminKeyFile: '/etc/lifeboat/admin.key',
      stateDirectory: '/var/lib/lifeboat',
    };
    const { homeserver, repository } = await load(renderConfig(values));
    expect(homeserver.config).toEqual(values.homeserverConfig);
    expect(repository).toMatchObject({ path: values.repository, adminKeyFile: values.adminKeyFile });
  });
});

describe('a bad file', () => {
  it('is told about completely, in the order of its lines', async () => {
    const error = await refusal(`version: 1
homeserver:
  confg: [a]
  kind: dendrite
repository: {path: "\${NOPE}", host_key_file: 5, state_directory: s}
retention: {keep_daily: -1, keep_daily: -2}
drill: {timeout: 5x}
`);
    expect(error.code).toBe('config-invalid');
    expect(error.message.split('\n').map((line) => line.replace(`${file}:`, ''))).toEqual([
      expect.stringMatching(/^3:\d+: homeserver.config: is missing/),
      '3:3: unknown key confg, did you mean config?',
      expect.stringMatching(/^4:9: homeserver.kind: .*synapse/),
      '5:20: the environment variable NOPE is not set',
      expect.stringMatching(/^5:\d+: repository.host_key_file: .*string/),
      expect.stringMatching(/^6:\d+: retention.keep_daily: /),
      expect.stringMatching(/^6:\d+: this key stands twice/),
      expect.stringMatching(/^7:18: drill.timeout: must be a duration/),
    ]);
  });

  it('says config-env-unset when nothing else is wrong', async () => {
    expect(await refusal(GOOD.replace('/srv/lifeboat', '${NOPE}'))).toMatchObject({
      code: 'config-env-unset',
    });
    expect(await refusal(`${GOOD}database: {password: {env: NOPE}}\n`)).toMatchObject({
      code: 'config-env-unset',
    });
  });

  it('names the place of a syntax error and never repeats the text, which may be a secret', async () => {
    const error = await refusal(`${GOOD}database: {password: "canary-9921\n`);
    expect(error.message).toMatch(/lifeboat\.yaml:\d+:\d+: not valid YAML/);
    expect(error.message).not.toContain('canary');
  });

  it('may be empty, hostile, or not there', async () => {
    expect((await refusal('')).message).toContain('repository');
    expect(await refusal('- a list')).toMatchObject({ code: 'config-invalid' });
    expect(await refusal('['.repeat(100_000))).toMatchObject({ code: 'config-invalid' });
    await expect(loadConfig(join(directory, 'nowhere.yaml'), {})).rejects.toMatchObject({
      code: 'config-missing',
    });
  });

  it('has an unreadable secret', async () => {
    expect(await refusal(`${GOOD}database: {password: {file: nowhere}}\n`)).toMatchObject({
      code: 'secret-unreadable',
    });
  });
});

describe('finding the file', () => {
  it('prefers the flag to LIFEBOAT_CONFIG', () => {
    expect(findConfig('/a.yaml', { LIFEBOAT_CONFIG: '/b.yaml' })).toBe('/a.yaml');
    expect(findConfig(undefined, { LIFEBOAT_CONFIG: '/b.yaml' })).toBe('/b.yaml');
  });
});

describe('stores', () => {
  const S3 = `repository:
  path: s3:https://s3.example.com/bucket/prefix
  s3: {access_key_id: me, secret_access_key: {env: S3_SECRET}, ca_file: ca.pem, object_lock: {mode: compliance, days: 30}}
  limit_upload: 5MiB
  copies:
    - {name: attic, path: attic}
    - {name: offsite, path: "sftp:me@host:/b", sftp: {identity_file: id}, limit_download: 1.5GiB}
`;

  it('may be servers, with limits, copies and a secret that is never printed', async () => {
    const text = GOOD.replace('repository:\n  path: /srv/lifeboat\n', S3);
    const { repository } = await load(text, { S3_SECRET: 'hush' });
    expect(repository).toMatchObject({
      path: 's3:https://s3.example.com/bucket/prefix',
      s3: {
        accessKeyId: 'me',
        caFile: join(directory, 'ca.pem'),
        objectLock: { mode: 'compliance', days: 30 },
      },
      uploadLimit: 5 * 1024 * 1024,
      copies: [
        { name: 'attic', path: join(directory, 'attic') },
        { name: 'offsite', path: 'sftp:me@host:/b', downloadLimit: 1.5 * 1024 ** 3 },
      ],
    });
    expect(repository.copies[1]!.sftp?.identityFile).toBe(join(directory, 'id'));
    expect(repository.s3?.secretAccessKey?.reveal()).toBe('hush');
    expect(JSON.stringify(repository)).not.toContain('hush');
  });

  it('are complained about by line, also within a copy', async () => {
    const text = GOOD.replace(
      'repository:\n',
      'repository:\n  limit_upload: fast\n  copies:\n    - {name: Attic, pth: x}\n',
    );
    const { message } = await refusal(text);
    expect(message).toContain(
      ':6:17: repository.limit_upload: must be a size such as 500KiB or 10MiB, a second',
    );
    expect(message).toContain(':8:21: unknown key pth, did you mean path?');
    expect(message).toMatch(/:8:\d+: repository\.copies\.0\.path: is missing/);
    expect(message).toMatch(/:8:\d+: repository\.copies\.0\.name: must be lower-case letters/);
  });
});
