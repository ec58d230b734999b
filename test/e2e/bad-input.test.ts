import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.ts';
import { systemClock } from '../../src/core/clock.ts';
import { EXIT, LifeboatError } from '../../src/core/errors.ts';
import { connect } from '../../src/database/index.ts';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import { register, type MatrixClient } from '../../src/demo/world/client.ts';
import { backup } from '../../src/jobs/backup.ts';
import { drill } from '../../src/jobs/drill.ts';
import { silent } from '../../src/observe/index.ts';
import type { Repository } from '../../src/repository/port.ts';
import { snapshotSource } from '../../src/restore/snapshot-source.ts';
import { lifeboat } from '../cli/run.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

/** What people really give to the commands, and what they are told: `lifeboat: error:`, a hint, an exit status. */
const LIFEBOAT = join(import.meta.dirname, '../../bin/lifeboat.js');
const execFileAsync = promisify(execFile);
let lab: Lab;
let home: LabSynapse;
let person: MatrixClient;
let config: Config;
let identity: string;
let repository: Repository;

beforeAll(async () => {
  lab = await startLab();
  home = await lab.startServer('home');
  person = await register(home.clientUrl, home.registrationSecret, 'alice', 'Alice');
  const roomId = await person.createRoom({ name: 'private' });
  await person.send(roomId, 'm.room.message', { msgtype: 'm.text', body: 'hello' });
  await upload(200_000);
  config = await lab.configure(home);
  identity = config.repository.identityFile!;
  ({ repository } = await lab.backUp(config));
});

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

function upload(sizeBytes: number): Promise<string> {
  return person.upload(new Uint8Array(randomBytes(sizeBytes)), 'application/octet-stream', 'file');
}

/** lifeboat.yaml with more in it. */
async function configWith(more: string): Promise<string> {
  const file = join(lab.directory, `altered-${randomBytes(4).toString('hex')}.yaml`);
  await writeFile(file, `${await readFile(config.file, 'utf8')}\n${more}\n`);
  return file;
}

describe('a backup that cannot be made says why, what to do, and commits nothing:', () => {
  afterEach(async () => {
    expect(await repository.snapshots()).toHaveLength(1);
  });

  it.each([
    ['no database server', 'database: {host: 127.0.0.1, port: 1}', /cannot connect|refused/],
    ['a wrong password', 'database: {password: not-the-password}', /password/],
    ['a database that is not there', 'database: {database: nowhere}', /nowhere/],
    ['a database of something else', 'database: {database: postgres}', /postgres/],
    ['a media directory that is not there', 'media: {path: /nonexistent/media}', /\/nonexistent\/media/],
  ])('%s', async (_what, more, message) => {
    const { status, stdout, stderr } = await lifeboat(['backup', '--config', await configWith(more)]);
    expect(stderr).toMatch(/^lifeboat: error: [^A-Z].*[^.]\n(hint: [A-Z].*\.\n)+$/m);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('not-the-password');
    expect({ status, stdout, stderr }).toEqual({ status: EXIT.preflightRefused, stdout: '', stderr });
  });

  it('a pg_dump that is older than the server', async () => {
    const directory = join(lab.directory, 'old-client');
    await mkdir(directory);
    const script = '#!/bin/sh\necho "pg_dump (PostgreSQL) 9.6.24"\n';
    await writeFile(join(directory, 'pg_dump'), script, { mode: 0o755 });
    const file = await configWith(`database: {client_directory: ${directory}}`);
    const { status, stderr } = await lifeboat(['backup', '--config', file]);
    expect(stderr).toMatch(/error: pg_dump 9\.6\.24 cannot dump a PostgreSQL \d+\.\d+ server\nhint: /);
    expect(status).toBe(EXIT.preflightRefused);
  });
});

it('a change of the schema that comes between our snapshot and the dump is let through, and the backup begins again', async () => {
  await using session = await connect(home.database, { applicationName: 'test' });
  const backup = lifeboat(['backup', '--config', config.file]);
  const read = `SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE application_name LIKE 'lifeboat:%' AND relation = 'room_aliases'::regclass AND granted`;
  for (let tries = 0; tries < 5000 && (await session.query(read)).length === 0; tries += 1) await sleep(1);
  // Waits for our snapshot, and pg_dump waits for it.
  await session.query('BEGIN; LOCK TABLE room_aliases IN ACCESS EXCLUSIVE MODE; COMMIT');
  const { status, stderr } = await backup;
  // Whichever is sooner: our lock or pg_dump's does not wait long, and we do not let others wait long.
  expect(stderr).toMatch(/begin(?:s|ning) again from a new snapshot/);
  expect(status).toBe(EXIT.ok);
});

it('a prune that marks what a backup leans on makes it store that anew, instead of failing', async () => {
  let commits = 0;
  const overtaken: Repository = {
    ...repository,
    startBackup: async () => {
      const writer = await repository.startBackup();
      return {
        ...writer,
        commit: async (...given) => {
          commits += 1;
          if (commits === 1) throw new LifeboatError('locked', 'a prune marked packs/ab');
          return writer.commit(...given);
        },
      };
    },
  };
  const before = (await repository.snapshots()).length;
  await backup({ config, repository: overtaken, tags: [], progress: silent });
  expect(commits).toBe(2);
  expect(await repository.snapshots()).toHaveLength(before + 1);
});

it('a full disk fails a backup as a whole; with room again the next one works', async () => {
  await upload(3_000_000);
  const { path } = config.repository;
  // A disk that only these processes see; what is written to it goes away with them.
  const script = `
    du --summarize --block-size=1K "$1" | cut -f1 > "$3/size"; size=$(cat "$3/size")
    cp -a "$6" "$3/state" && mount --bind "$3/state" "$6" || exit 99
    mkdir "$3/copy" && cp -a "$1/." "$3/copy" && mount -t tmpfs -o size=$((size + 1024))k tmpfs "$1" && cp -a "$3/copy/." "$1" || exit 99
    "$4" "$5" backup --config "$2"; echo "full $?"
    "$4" "$5" check --read-data --config "$2"; echo "check $?"
    ls "$1/log" | wc -l | sed 's/^/records /'
    mount -o remount,size=$((size + 32768))k "$1"
    "$4" "$5" backup --config "$2"; echo "next $?"`;
  const scratch = join(lab.directory, 'full-disk');
  await mkdir(scratch);
  const before = await readdir(join(path, 'log'));
  const argv = ['--map-root-user', '--mount', 'sh', '-c', script, 'sh', path, config.file, scratch];
  const { stdout, stderr } = await execFileAsync('unshare', [
    ...[...argv, process.execPath, LIFEBOAT, config.repository.stateDirectory],
  ]);
  expect(stderr).toMatch(/^lifeboat: error: cannot write .*no space left \(ENOSPC\)\nhint: Free space /m);
  expect(stdout, stderr).toContain(`full ${EXIT.failed}\n`);
  expect(stdout, stderr).toContain('check 0\n');
  expect(stdout, stderr).toContain(`records ${before.length}\n`);
  expect(stdout, stderr).toContain('next 0\n');
});

describe('a damaged repository', () => {
  const objects = async (kind: 'packs' | 'manifests') =>
    (await readdir(config.repository.path, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && entry.parentPath.includes(`/${kind}`))
      .map((entry) => join(entry.parentPath, entry.name));
  const largest = async (paths: readonly string[]): Promise<string> => {
    const sizes = await Promise.all(paths.map(async (path) => ({ path, size: (await stat(path)).size })));
    return sizes.toSorted((a, b) => b.size - a.size)[0]!.path;
  };
  let kept: string;

  beforeEach(async () => {
    kept = join(lab.directory, 'kept');
    await cp(config.repository.path, kept, { recursive: true, preserveTimestamps: true });
  });

  afterEach(async () => {
    // Over it, not instead of it: a rolled back log would be noticed.
    await cp(kept, config.repository.path, { recursive: true });
  });

  const damages = {
    missing: (path: string) => rm(path),
    truncated: async (path: string) => truncate(path, (await stat(path)).size >> 1),
    corrupt: async (path: string) => {
      const bytes = await readFile(path);
      bytes[bytes.length >> 1]! ^= 1;
      await writeFile(path, bytes);
    },
    'another one': async (path: string) => {
      const other = (await objects('manifests')).find((each) => each !== path)!;
      await writeFile(path, await readFile(other));
    },
  };

  it.each(Object.entries(damages))(
    'of which a pack is %s is not restored, and the pack is named',
    async (what, damage) => {
      const pack = await largest(await objects('packs'));
      await damage(pack);
      const name = `damaged_${what.replace(' ', '_')}`;
      const database = await lab.postgres.createDatabase(name, name);
      const { status, stdout, stderr } = await lifeboat(
        [...restoreArgv(database), '--target', join(lab.directory, name)],
        { env: { PGPASSWORD: database.password!.reveal() } },
      );
      expect(`${stdout}${stderr}`).toContain(pack.split('/').at(-1));
      expect(stdout).toContain('is NOT restored');
      expect(status).toBe(EXIT.failed);
    },
  );

  it('of which a pack is missing fails its drill with status 20, and the pack is named', async () => {
    const pack = await largest(await objects('packs'));
    await rm(pack);
    const { status, stdout } = await lifeboat([
      ...['drill', 'latest', '--config', config.file, '--identity', identity],
      ...['--report-dir', join(lab.directory, 'reports')],
    ]);
    expect(stdout).toContain(pack.split('/').at(-1));
    expect(status).toBe(EXIT.drillFailed);
  });

  it.each(['missing', 'corrupt'] as const)(
    'of which the manifest is %s is not begun to be restored',
    async (what) => {
      for (const manifest of await objects('manifests')) await damages[what](manifest);
      const database = { host: '127.0.0.1', port: 1, user: 'nobody', database: 'nowhere' };
      const target = join(lab.directory, `manifest-${what}`);
      const { status, stderr } = await lifeboat([...restoreArgv(database), '--target', target]);
      expect(stderr).toMatch(/^lifeboat: error: object manifests\/\S+ is (missing|damaged).*\nhint: /m);
      expect(status).toBe(EXIT.failed);
      await expect(readdir(target)).rejects.toThrow('ENOENT');
    },
  );
});

function restoreArgv(database: { host: string; port: number; user: string; database: string }): string[] {
  const url = `postgresql://${database.user}@${database.host}:${database.port}/${database.database}`;
  return [
    ...['restore', 'latest', '--config', config.file, '--identity', identity, '--program', PYTHON],
    ...['--database', url, '--confirm', home.serverName],
  ];
}

it('an identity of somebody else opens nothing, and nothing is written', async () => {
  const other = join(lab.directory, 'other-identity');
  await execFileAsync('age-keygen', ['-o', other]);
  const target = join(lab.directory, 'wrong-identity');
  const database = { host: '127.0.0.1', port: 1, user: 'nobody', database: 'nowhere' };
  const argv = [...restoreArgv(database), '--target', target, '--identity', other];
  const { status, stderr } = await lifeboat(argv);
  expect(stderr).toMatch(/^lifeboat: error: none of the given identities opens .*\nhint: /m);
  expect(status).toBe(EXIT.wrongKey);
  await expect(readdir(target)).rejects.toThrow('ENOENT');
});

describe('a drill', () => {
  it('without bubblewrap could not run, and says what to install', async () => {
    const before = process.env['PATH'];
    process.env['PATH'] = '/nonexistent';
    const argv = ['drill', 'latest', '--config', config.file, '--identity', identity];
    const { status, stderr } = await lifeboat(argv).finally(() => (process.env['PATH'] = before));
    expect(stderr).toMatch(/^lifeboat: error: .*bwrap.*\nhint: Install it: apt-get install bubblewrap/m);
    expect(status).toBe(EXIT.drillImpossible);
  });

  it('with another version of the homeserver than the snapshot’s fails, and starts nothing', async () => {
    const source = await snapshotSource(repository, (await repository.resolve('latest')).id);
    const report = await drill({
      source: { ...source, homeserverVersion: '1.100.0' },
      program: PYTHON,
      settings: { ...config.drill, workDirectory: lab.directory },
      clientDirectory: undefined,
      keep: false,
      clock: systemClock,
      progress: silent,
    });
    const checks = report.steps.flatMap((step) => step.checks);
    expect(checks.filter(({ result }) => result === 'fail')).toMatchObject([
      { id: 'config.version', expected: '1.100.0' },
    ]);
    expect(report.steps[4]!.result).toBe('skip');
    expect(report.exitStatus).toBe(EXIT.drillFailed);
  });
});
