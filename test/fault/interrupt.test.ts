import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, type Config } from '../../src/config/index.ts';
import { connect, newestClient } from '../../src/database/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import { fillWorld } from '../../src/demo/world/index.ts';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import type { Repository } from '../../src/repository/port.ts';
import { PYTHON, startLab, type Lab } from '../e2e/backed-up-world.ts';

const LIFEBOAT = join(import.meta.dirname, '../../bin/lifeboat.js');
const execFileAsync = promisify(execFile);
let lab: Lab;
let home: LabSynapse;
let config: Config;
let repository: Repository;

beforeAll(async () => {
  lab = await startLab();
  home = await lab.startServer('home');
  const away = await lab.startServer('away');
  await fillWorld(home, away, { users: 2, messages: 20, media: 6 });
  await away.stop();
  config = await lab.configure(home);
  const drills = join(lab.directory, 'drills');
  await mkdir(drills, { mode: 0o711 });
  await appendFile(config.file, `drill:\n  work_directory: ${drills}\n`);
  config = await loadConfig(config.file, { LIFEBOAT_IDENTITY_FILE: config.repository.identityFile });
  ({ repository } = await lab.backUp(config));
}, 180_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

/** Runs a command, sends the signal when it has said that or that file is there, and waits for its end. */
async function interrupted(
  argv: readonly string[],
  signal: NodeJS.Signals | undefined,
  when: { said?: string; exists?: string } = {},
  env: Record<string, string> = {},
): Promise<{ status: number | null; stderr: string }> {
  const identity = config.repository.identityFile!;
  const flags = ['--config', config.file, '--identity', identity];
  const child = spawn(process.execPath, [LIFEBOAT, ...flags, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let said = '';
  let sent = false;
  const hear = (chunk: Buffer) => {
    said += chunk.toString();
    if (sent || signal === undefined || when.said === undefined || !said.includes(when.said)) return;
    // Once: a second Ctrl-C means that a person does not want to wait for the cleaning up.
    sent = true;
    child.kill(signal);
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const closed = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)));
  if (when.exists !== undefined) {
    for (let tries = 0; tries < 300 && child.exitCode === null && !existsSync(when.exists); tries += 1)
      await sleep(100);
    child.kill(signal);
  }
  const status = await closed;
  return { status, stderr: said };
}

/** Processes of this lab that run or mention the text; for at most 10 s until there are none. Other tests have their own. */
async function remaining(text: string): Promise<string[]> {
  let found: string[] = [];
  for (let tries = 0; tries < 50; tries += 1) {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(pids.map(ofThisLab));
    found = lines.filter((line) => line.includes(text));
    if (found.length === 0) return [];
    await sleep(200);
  }
  return found;
}

/** The command line of a process that was told of our directory or our database server; empty for any other. */
async function ofThisLab(pid: string): Promise<string> {
  const read = async (name: string) => await readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '');
  const [command, environment] = [await read('cmdline'), await read('environ')];
  const ours = command.includes(lab.directory) || environment.includes(`PGPORT=${home.database.port}`);
  return ours ? command : '';
}

describe.each(['SIGINT', 'SIGKILL'] as const)('a backup that is ended by %s', (signal) => {
  const moments = [
    'discover',
    'measuring invariants',
    'dumping home',
    'sealing 1 signing key',
    'sealing configuration',
    'writing index',
  ];
  it.each(moments)('at "%s" leaves no half snapshot and no pg_dump', async (said) => {
    const before = (await repository.snapshots()).length;
    const { status } = await interrupted(['backup'], signal, { said });
    const added = (await repository.snapshots()).length - before;
    // The last moment may be too late: then it was committed wholly.
    expect([0, 1]).toContain(added);
    if (status === 0) expect(added).toBe(1);
    else expect(status).toBe(signal === 'SIGINT' ? 130 : null);
    expect(await remaining('pg_dump\0--format')).toEqual([]);
    const check = await repository.check({ readData: 'all' });
    expect(check.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it('can be run again', async () => {
    expect((await interrupted(['backup'], undefined)).status).toBe(0);
  });
});

it('of two backups at once one is made, and the other told who is at work', async () => {
  const before = (await repository.snapshots()).length;
  const both = await Promise.all([interrupted(['backup'], undefined), interrupted(['backup'], undefined)]);
  expect(both.map(({ status }) => status).toSorted()).toEqual([0, 11]);
  const refused = both.find(({ status }) => status === 11)!;
  expect(refused.stderr).toMatch(
    /another backup is running: backup [0-9a-f]{8} since .* process \d+ of \w+ on/,
  );
  expect(await repository.snapshots()).toHaveLength(before + 1);
  expect(await readdir(join(config.repository.stateDirectory, 'locks'))).toEqual([]);
});

describe('what surrounds a backup', () => {
  /** The configuration with something more, run as a command. */
  async function withMore(
    yaml: string,
    ...argv: string[]
  ): Promise<{ status: number | null; stderr: string }> {
    const file = join(lab.directory, 'with-hooks.yaml');
    await writeFile(file, `${await readFile(config.file, 'utf8')}${yaml}\n`);
    return interrupted([...argv, '--config', file], undefined);
  }

  it('runs in its order, at the priority that was asked for, and knows how it went', async () => {
    const yaml = `
priority: {nice: 7, io: idle}
hooks:
  backup:
    before: ['echo "first $LIFEBOAT_JOB, nice $(nice), $(ionice)"', {run: [echo, second], timeout: 10s}]
    after: ['echo "after, status $LIFEBOAT_EXIT_STATUS"']
    on_error: ['echo never']`;
    const { status, stderr } = await withMore(yaml, 'backup');
    expect(status).toBe(0);
    expect(stderr.split('\n').filter((line) => line.startsWith('hook: '))).toEqual([
      'hook: first backup, nice 7, idle',
      'hook: second',
      'hook: after, status 0',
    ]);
  });

  it('keeps it from running when a program before it fails, and tells who is to be told', async () => {
    const before = (await repository.snapshots()).length;
    const { status, stderr } = await withMore(
      `hooks: {backup: {before: ['exit 3'], on_error: ['echo "told: $LIFEBOAT_ERROR_CODE"']}}`,
      'backup',
    );
    expect(status).toBe(30);
    expect(stderr).toContain('hook: told: hook-failed');
    expect(await repository.snapshots()).toHaveLength(before);
  });

  it('makes it one with omissions when a program after it fails', async () => {
    const { status, stderr } = await withMore(`hooks: {backup: {after: ['exit 3']}}`, 'backup');
    expect(status).toBe(3);
    expect(stderr).toContain('hook after of backup (exit) failed with exit status 3');
  });
});

it('the lock of a backup that was killed is shown, and taken over by the next one', async () => {
  await interrupted(['backup'], 'SIGKILL', { said: 'dumping home' });
  const shown = await interrupted(['unlock', '--dry-run'], undefined);
  expect(shown.stderr).toMatch(/backup .* process \d+ of .* ended/);
  const next = await interrupted(['backup'], undefined);
  expect(next.status).toBe(0);
  expect(next.stderr).toContain('took over the lock of one that ended without a word');
});

describe.each(['SIGINT', 'SIGKILL'] as const)('a drill that is ended by %s', (signal) => {
  it.each([
    'starting PostgreSQL inside',
    'restoring home.dump',
    '5 Start services',
    'starting a second homeserver',
  ])('at "%s" leaves no process, and its directory goes with the next drill', async (said) => {
    const { status } = await interrupted(
      ['drill', 'latest', '--peer', '--report-dir', join(lab.directory, 'reports')],
      signal,
      { said },
    );
    expect(status).toBe(signal === 'SIGINT' ? 130 : null);
    expect(await remaining('lifeboat-drill-')).toEqual([]);
  });
});

it('a drill after all that works, and sweeps what killed ones have left', async () => {
  const left = async () =>
    (await readdir(config.drill.workDirectory)).filter((name) => name.startsWith('lifeboat-drill-'));
  expect(
    (await interrupted(['drill', 'latest', '--report-dir', join(lab.directory, 'reports')], undefined))
      .status,
  ).toBe(0);
  expect(await left()).toEqual([]);
});

describe('a restore that is ended in the middle', () => {
  /** A pg_restore in the middle of a statement that takes long: the server goes on with it when its client is gone. */
  async function slowClient(): Promise<string> {
    const directory = join(lab.directory, 'slow-client');
    await mkdir(directory);
    const [restore, psql] = [await newestClient('pg_restore'), await newestClient('psql')];
    const script = `#!/bin/bash
case "$*" in *--version* | *--list*) exec ${restore.path} "$@" ;; esac
(sleep 1; touch ${directory}/started) &
exec ${directory}/pg_restore-slow --command='SELECT pg_sleep(300)'
`;
    await symlink(psql.path, join(directory, 'pg_restore-slow'));
    await writeFile(join(directory, 'pg_restore'), script, { mode: 0o755 });
    return directory;
  }

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'by %s while pg_restore works leaves no pg_restore, and goes on when given again',
    async (signal) => {
      const name = signal.toLowerCase();
      const database = await lab.postgres.createDatabase(name, name);
      const target = join(lab.directory, name);
      const argv = restoreArgv(database, target);
      const env = { PGPASSWORD: database.password!.reveal() };
      const client = await slowClient();
      const file = join(lab.directory, `${name}.yaml`);
      await writeFile(
        file,
        `${await readFile(config.file, 'utf8')}database: {client_directory: ${client}}\n`,
      );
      const when = { exists: join(client, 'started') };
      const { status } = await interrupted([...argv, '--config', file], signal, when, env);
      expect(status).toBe(signal === 'SIGINT' ? 130 : null);
      expect(await remaining('pg_restore')).toEqual([]);
      const next = await interrupted(argv, undefined, {}, env);
      expect(next.stderr).toContain('nothing was started');
      expect(next.status).toBe(0);
      await rm(client, { recursive: true });
      await rm(target, { recursive: true });
    },
  );

  it('goes on where it stopped when the same command is given again, until all is there', async () => {
    const database = await lab.postgres.createDatabase('resumed', 'resumed');
    const target = join(lab.directory, 'resumed');
    const argv = restoreArgv(database, target);
    const env = { PGPASSWORD: database.password!.reveal() };
    for (const said of [
      'restoring home.dump',
      '2 Restore media',
      '3 Restore signing keys',
      '4 Verify configuration',
      '5 Start services',
    ]) {
      expect((await interrupted(argv, 'SIGKILL', { said }, env)).status).toBe(null);
    }
    expect((await interrupted(argv, 'SIGINT', { said: '4 Verify configuration' }, env)).status).toBe(130);
    const last = await interrupted(argv, undefined, {}, env);
    expect(last.stderr).toContain('nothing was started');
    expect(last.status).toBe(0);
    expect(await remaining('pg_restore')).toEqual([]);
    await using session = await connect(database, { applicationName: 'test' });
    await using original = await connect(home.database, { applicationName: 'test' });
    const count = async (from: typeof session) =>
      (await from.query<{ rows: number }>('SELECT count(*) AS rows FROM event_json'))[0]!.rows;
    expect(await count(session)).toBe(await count(original));
    for (const name of ['local_content', 'local_thumbnails'])
      await execFileAsync('diff', ['-r', join(home.mediaDirectory, name), join(target, 'media_store', name)]);
    await rm(target, { recursive: true });
  });
});

function restoreArgv(database: PostgresTarget, target: string): string[] {
  const url = `postgres://${database.user}@${database.host}:${database.port}/${database.database}`;
  const place = ['--target', target, '--database', url, '--confirm', home.serverName];
  return ['restore', 'latest', ...place, '--program', PYTHON];
}
