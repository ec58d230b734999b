import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, newestClient } from '../../src/database/index.ts';
import { bridgeRegistration, fillWorld } from '../../src/demo/world/index.ts';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import type { Manifest } from '../../src/repository/manifest.ts';
import { startLab, type Lab } from './backed-up-world.ts';

const run = promisify(execFile);
let lab: Lab;
let home: LabSynapse;
let target: string;

beforeAll(async () => {
  lab = await startLab();
  home = await lab.startServer('home', { appservice: bridgeRegistration() });
  await fillWorld(home, await lab.startServer('away'), { users: 2, messages: 20, media: 4 });
  const config = await lab.configure(home);
  const { outcome } = await lab.backUp(config, { smallDatabaseBytes: 0 });
  target = join(await mkdtemp(join(tmpdir(), 'lifeboat-by-hand-')), 'target');
  const script = join(config.repository.path, 'recover.sh');
  await run('sh', [script, config.repository.identityFile!, outcome.commit.entry.id, target], {
    cwd: tmpdir(),
  });
}, 180_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await rm(join(target, '..'), { recursive: true, force: true });
});

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

it('recover.sh alone brings back the media tree, byte for byte', async () => {
  const media = (await filesBelow(target))
    .find((path) => path.includes('/local_content/'))!
    .split('/local_content/')[0]!;
  for (const name of ['local_content', 'local_thumbnails'])
    await run('diff', ['-r', join(home.mediaDirectory, name), join(media, name)]);
});

it('recover.sh alone brings back the signing key and the configuration', async () => {
  const files = await filesBelow(target);
  for (const source of [home.signingKeyFile, home.configFile]) {
    const restored = files.find((path) => path.endsWith(source));
    expect(restored, source).toBeDefined();
    expect(await readFile(restored!)).toEqual(await readFile(source));
  }
});

it('pg_restore loads the dumps that recover.sh brought back, in the order of their names, with every row but one-time keys', async () => {
  const dumps = (await filesBelow(join(target, 'database'))).toSorted();
  const manifest = JSON.parse(await readFile(join(target, 'manifest.json'), 'utf8')) as Manifest;
  const names = manifest.database.dumps.map(({ name }) => join(target, 'database', name));
  expect(names.length).toBeGreaterThan(5);
  expect(dumps).toEqual(names);
  const restored = await lab.postgres.createDatabase('by_hand', 'by_hand');
  const { path } = await newestClient('pg_restore');
  const env = { ...process.env, PGPASSWORD: restored.password!.reveal() };
  for (const dump of dumps) {
    const said = await run(
      path,
      [
        '--exit-on-error',
        '--no-owner',
        '--no-privileges',
        '-h',
        restored.host,
        '-p',
        String(restored.port),
        '-U',
        restored.user,
        '-d',
        restored.database,
        dump,
      ],
      { env },
    );
    expect(said).toEqual({ stdout: '', stderr: '' });
  }
  for (const table of ['users', 'events', 'event_json', 'local_media_repository', 'devices']) {
    expect(await count(restored, table), table).toBe(await count(home.database, table));
  }
  expect(await count(restored, 'e2e_one_time_keys_json')).toBe(0);
  expect(await count(home.database, 'e2e_one_time_keys_json')).toBeGreaterThan(0);
});

async function count(database: LabSynapse['database'], table: string): Promise<number> {
  await using session = await connect(database, { applicationName: 'test' });
  const [row] = await session.query<{ rows: number }>(`SELECT count(*) AS rows FROM ${table}`);
  return row!.rows;
}
