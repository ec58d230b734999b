import { execFile } from 'node:child_process';
import { readdir, rm, writeFile, mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, type Config } from '../../src/config/index.ts';
import { systemClock } from '../../src/core/clock.ts';
import { connect } from '../../src/database/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import { runSynapse, type LabSynapse } from '../../src/demo/lab/index.ts';
import { fillWorld, type World } from '../../src/demo/world/index.ts';
import { planBackup } from '../../src/jobs/backup.ts';
import { openAt } from '../../src/jobs/open.ts';
import { restore, type RestoreOutcome } from '../../src/jobs/restore.ts';
import { silent } from '../../src/observe/index.ts';
import { snapshotSource } from '../../src/restore/snapshot-source.ts';
import { lifeboat } from '../cli/run.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

const run = promisify(execFile);
let lab: Lab;
let home: LabSynapse;
let world: World;
let config: Config;

beforeAll(async () => {
  lab = await startLab();
  home = await lab.startServer('home');
  const away = await lab.startServer('away');
  world = await fillWorld(home, away, { users: 2, messages: 10, media: 3 });
  await away.stop();
  config = await lab.configure(home);
  await lab.backUp(config);
}, 180_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

/** lifeboat.yaml with something else in it. */
async function altered(alter: (yaml: string) => string): Promise<Config> {
  const file = join(lab.directory, `altered-${Math.random()}.yaml`);
  await writeFile(file, alter(await readFile(config.file, 'utf8')));
  return await loadConfig(file, {});
}

/** homeserver.yaml with other lines, and a lifeboat.yaml for it. */
async function alteredHomeserver(alter: (yaml: string) => string): Promise<Config> {
  const file = join(home.directory, `altered-${Math.random()}.yaml`);
  await writeFile(file, alter(await readFile(home.configFile, 'utf8')), { mode: 0o600 });
  return await altered((yaml) => yaml.replace(home.configFile, file));
}

describe('a backup refuses, before it writes anything,', () => {
  it('a database server that does not answer', async () => {
    const changed = await altered((yaml) => `${yaml}\ndatabase: {host: 127.0.0.1, port: 1}\n`);
    await expect(planBackup(changed)).rejects.toMatchObject({ code: 'database-unreachable', exitStatus: 30 });
  });

  it('a wrong password', async () => {
    const changed = await altered((yaml) => `${yaml}\ndatabase: {password: not-the-password}\n`);
    await expect(planBackup(changed)).rejects.toMatchObject({ code: 'database-denied', exitStatus: 30 });
  });

  it('a database that is not a homeserver’s', async () => {
    const empty = await lab.postgres.createDatabase('empty', 'empty');
    const changed = await altered(
      (yaml) => `${yaml}\ndatabase: {database: empty, user: empty, password: ${empty.password!.reveal()}}\n`,
    );
    await expect(planBackup(changed)).rejects.toMatchObject({ code: 'database-foreign', exitStatus: 30 });
  });

  it('a server_name other than the one in the database', async () => {
    const changed = await alteredHomeserver((yaml) =>
      yaml.replaceAll(home.serverName, 'other.example.com').replace(/^signing_key_path.*$/m, ''),
    );
    await writeFile(
      join(home.directory, 'other.example.com.signing.key'),
      await readFile(home.signingKeyFile),
      { mode: 0o600 },
    );
    await expect(planBackup(changed)).rejects.toMatchObject({ code: 'server-name-mismatch', exitStatus: 30 });
  });

  it('a media directory that is not there', async () => {
    const changed = await altered((yaml) => `${yaml}\nmedia: {path: /nonexistent/media}\n`);
    await expect(lab.backUp(changed)).rejects.toMatchObject({ code: 'media-unreadable', exitStatus: 30 });
  });

  it('an empty media directory of a server with uploads, but not when its admin says that they are lost', async () => {
    const empty = join(lab.directory, 'empty-media');
    await mkdir(empty);
    const changed = await altered((yaml) => `${yaml}\nmedia: {path: ${empty}}\n`);
    await expect(planBackup(changed)).rejects.toMatchObject({ code: 'media-unreadable', exitStatus: 30 });
    await expect(lab.backUp(changed)).rejects.toMatchObject({ code: 'media-unreadable', exitStatus: 30 });
    const allowed = await altered((yaml) => `${yaml}\nmedia: {path: ${empty}, allow_missing: true}\n`);
    expect((await planBackup(allowed)).mediaDirectory).toBe(empty);
  });

  it('none of which left a snapshot', async () => {
    expect(await (await openAt(config.repository, systemClock)).snapshots()).toHaveLength(1);
  });
});

it('a media file that is gone stays in the snapshot as an omission that names it, a file without row is a warning', async () => {
  await writeFile(join(home.mediaDirectory, 'local_content', 'orphan'), 'nobody knows me');
  const { outcome } = await lab.backUp(config, { compareMedia: true });
  expect(outcome.omissions).toEqual([]);
  const repository = await openAt(config.repository, systemClock);
  const manifest = await repository.manifest(outcome.commit.entry.id);
  expect(manifest.media.orphans).toEqual(['local_content/orphan']);
  const files = (
    await readdir(join(home.mediaDirectory, 'local_content'), { recursive: true, withFileTypes: true })
  ).filter((entry) => entry.isFile() && entry.name !== 'orphan');
  const path = join(files[0]!.parentPath, files[0]!.name);
  const body = await readFile(path);
  await rm(path);
  const second = await lab.backUp(config, { compareMedia: true });
  expect(second.outcome.omissions[0]).toContain(
    '1 media files are gone, and the snapshot has what was stored of them before: ',
  );
  const { status, stdout, stderr } = await lifeboat(['backup', '--config', config.file]);
  expect(status).toBe(3);
  expect(`${stdout}${stderr}`).toContain('1 media files are gone');
  await writeFile(path, body);
  await rm(join(home.mediaDirectory, 'local_content', 'orphan'));
  expect((await lab.backUp(config)).outcome.omissions).toEqual([]);
});

describe('a restore', () => {
  const attempt = async (
    directory: string,
    database: PostgresTarget,
    allowCode = false,
  ): Promise<RestoreOutcome> => {
    const repository = await openAt(config.repository, systemClock);
    const source = await snapshotSource(repository, (await repository.resolve('latest')).id);
    return await restore({
      source,
      directory,
      database,
      program: PYTHON,
      clientDirectory: undefined,
      allowCode,
      clock: systemClock,
      progress: silent,
    });
  };

  it('refuses a directory that is not empty', async () => {
    const directory = join(lab.directory, 'occupied');
    await mkdir(directory);
    await writeFile(join(directory, 'mine'), 'keep');
    await expect(attempt(directory, home.database)).rejects.toMatchObject({
      code: 'target-not-empty',
      exitStatus: 30,
    });
    expect(await readdir(directory)).toEqual(['mine']);
  });

  it('refuses a database in which somebody lives, and writes nothing', async () => {
    const directory = join(lab.directory, 'alive');
    const refused = { code: 'target-not-empty', exitStatus: 30 };
    await expect(attempt(directory, home.database)).rejects.toMatchObject(refused);
    const empty = await lab.postgres.createDatabase('connected', 'connected');
    await using session = await connect(empty, { applicationName: 'somebody' });
    await expect(attempt(directory, empty)).rejects.toMatchObject({
      code: 'target-alive',
      exitStatus: 30,
      message: expect.stringContaining('somebody'),
    });
    await session.close();
    await expect(readdir(directory)).rejects.toThrow('ENOENT');
  });

  it('says what is missing of the address that it was given', async () => {
    const target = await lab.postgres.createDatabase('asked', 'asked');
    const directory = join(lab.directory, 'asked');
    const { password: _none, ...without } = target;
    await expect(attempt(directory, { ...without, password: undefined })).rejects.toMatchObject({
      code: 'database-denied',
      message: expect.stringMatching(/^a password is needed for database asked on .* as user asked$/),
      hints: ['Give it in PGPASSWORD, or in a file with --database-password-file.'],
    });
    await expect(attempt(directory, { ...target, database: 'absent' })).rejects.toMatchObject({
      exitStatus: 30,
      hints: [expect.stringContaining('createdb --encoding=UTF8 --locale=C --template=template0')],
    });
    await expect(readdir(directory)).rejects.toThrow('ENOENT');
  });

  it('refuses a role that is a superuser, and a database of another locale, before anything is loaded', async () => {
    const directory = join(lab.directory, 'unfit');
    const target = await lab.postgres.createDatabase('unfit', 'unfit');
    const superuser = { ...lab.postgres.target, database: target.database };
    await expect(attempt(directory, superuser)).rejects.toMatchObject({
      code: 'target-unfit',
      message: expect.stringContaining('is a superuser'),
    });
    await using session = await connect(lab.postgres.target, { applicationName: 'test' });
    await session.query('DROP DATABASE unfit');
    await session.query(`CREATE DATABASE unfit TEMPLATE template0 LOCALE 'C.UTF-8' OWNER unfit`);
    await expect(attempt(directory, target)).rejects.toMatchObject({
      code: 'target-unfit',
      exitStatus: 30,
      message: expect.stringContaining('collation C.UTF-8'),
      hints: [expect.stringContaining('createdb --encoding=UTF8 --locale=C')],
    });
    await expect(readdir(directory)).rejects.toThrow('ENOENT');
  });

  it('refuses a database with tables, and leaves them alone', async () => {
    const target = await lab.postgres.createDatabase('occupied', 'occupied');
    await using session = await connect(target, { applicationName: 'test' });
    await session.query('CREATE TABLE mine AS SELECT 1 AS one');
    await session.close();
    const directory = join(lab.directory, 'tables');
    const { status, stdout, stderr } = await lifeboat(
      [
        ...['restore', 'latest', '--config', config.file, '--identity', config.repository.identityFile!],
        ...['--target', directory, '--program', PYTHON, '--confirm', home.serverName, '--database'],
        `postgresql://${target.user}@${target.host}:${target.port}/${target.database}`,
      ],
      { env: { PGPASSWORD: target.password!.reveal() } },
    );
    expect(stderr).toMatch(/^lifeboat: error: .*occupied holds 1 relations already: public\.mine\nhint: /m);
    expect({ status, stdout }).toEqual({ status: 30, stdout: '' });
    await using again = await connect(target, { applicationName: 'test' });
    expect(await again.query('SELECT one FROM mine')).toEqual([{ one: 1 }]);
    await expect(readdir(directory)).rejects.toThrow('ENOENT');
  });

  it('loads no code that is not Synapse’s before its admin says so', async () => {
    await using source = await connect(home.database, { applicationName: 'test' });
    await source.query(`CREATE FUNCTION evil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`);
    await source.query('CREATE TRIGGER evil BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION evil()');
    await lab.backUp(config);
    const target = await lab.postgres.createDatabase('tampered', 'tampered');
    const directory = join(lab.directory, 'tampered');
    const { result, steps } = await attempt(directory, target);
    expect(result).toBe('FAIL');
    expect(steps[0]!.error).toMatchObject({
      code: 'archive-unsafe',
      message: expect.stringMatching(/: function evil, trigger evil$/),
      hints: [expect.stringContaining('--allow-code')],
    });
    await using restored = await connect(target, { applicationName: 'test' });
    expect(await restored.query('SELECT FROM pg_tables WHERE schemaname = $1', ['public'])).toEqual([]);
    await restored.close();
    const allowed = await attempt(directory, target, true);
    expect(allowed.result).toBe('PASS');
    expect(allowed.steps[0]!.checks).toContainEqual(
      expect.objectContaining({
        id: 'database.code',
        result: 'warn',
        observed: '2: function evil, trigger evil',
      }),
    );
    await source.query('DROP FUNCTION evil CASCADE');
    await lab.backUp(config);
  });

  it('gives back every file as it was, and a homeserver that starts, knows its people’s sessions, and serves their media', async () => {
    const target = await lab.postgres.createDatabase('restored', 'restored');
    const directory = join(lab.directory, 'restored');
    const outcome = await attempt(directory, target);
    expect(outcome.result).toBe('PASS');
    expect(outcome.steps[0]!.checks).toContainEqual(
      expect.objectContaining({ id: 'database.code', result: 'pass' }),
    );
    for (const name of ['local_content', 'local_thumbnails'])
      await run('diff', ['-r', join(home.mediaDirectory, name), join(directory, 'media_store', name)]);
    const restored = await readdir(directory, { recursive: true });
    for (const source of [home.signingKeyFile, home.configFile, join(home.directory, 'log.yaml')]) {
      const path = restored.find((name) => name.endsWith(`/${basename(source)}`));
      expect(path, source).toBeDefined();
      expect(await readFile(join(directory, path!))).toEqual(await readFile(source));
    }
    await using session = await connect(target, { applicationName: 'test' });
    await session.query('CREATE TABLE since AS SELECT 1 AS one');
    await session.close();
    await expect(attempt(directory, target)).rejects.toMatchObject({
      code: 'target-not-empty',
      message: `the restore into ${directory} is finished`,
    });
    expect(await readdir(directory, { recursive: true })).toEqual(restored);
    await home.stop();
    const service = await runSynapse({ argv: outcome.startCommand, directory, clientUrl: home.clientUrl });
    const person = world.ours[0]!;
    const room = world.rooms.find(({ kind }) => kind === 'private')!;
    expect((await person.messages(room.roomId)).length).toBeGreaterThan(0);
    expect((await person.download(world.media[0]!)).length).toBeGreaterThan(100);
    await service.stop();
  });
});
