import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  access,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createProcessEnvironment } from '../../src/environment/index.ts';
import { environmentContract, HOST_NAMES } from '../contract/environment.ts';
import { eventually, processesNaming } from '../environment/processes.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const isRoot = process.getuid?.() === 0;

// Short, because sockets are made below it; and not in a directory that belongs to somebody else.
const base = await mkdtemp(join(tmpdir(), 'lb-env-'));
await chmod(base, 0o711);
afterAll(() => rm(base, { recursive: true }));

const options = { workDirectory: base, readOnlyPaths: [], hostNames: HOST_NAMES };

environmentContract(`process, as ${isRoot ? 'root' : 'an ordinary user'}`, () =>
  createProcessEnvironment(options),
);

describe('a process environment whose owner is ended', () => {
  let token: string;
  let owner: ChildProcess;
  let directory: string;

  beforeEach(async () => {
    token = `86400.${randomBytes(4).readUInt32BE()}`;
    const child = join(ROOT, 'test/e2e/process-environment-child.ts');
    // A process group of its own, as a terminal would give it.
    owner = spawn(process.execPath, [child, base, token], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    directory = ((await once(createInterface({ input: owner.stdout! }), 'line')) as [string])[0];
    await eventually(async () => (await processesNaming(token)).length >= 2);
  });

  afterEach(() => {
    owner.kill('SIGKILL');
  });

  it('by kill -9 ends with all its processes at once; the next one removes what lies around', async () => {
    owner.kill('SIGKILL');
    await once(owner, 'exit');
    await eventually(async () => (await processesNaming(token)).length === 0);
    await eventually(async () => (await processesNaming(directory)).length === 0);
    await access(directory);
    const next = await createProcessEnvironment(options);
    await expect(access(dirname(directory))).rejects.toThrow('ENOENT');
    await next.destroy();
  });

  it('by Ctrl-C, which bubblewrap receives as well, ends with all its processes and leaves no directory', async () => {
    process.kill(-owner.pid!, 'SIGINT');
    expect(await once(owner, 'exit')).toEqual([130, null]);
    await eventually(async () => (await processesNaming(token)).length === 0);
    await eventually(async () => (await processesNaming(directory)).length === 0);
    await expect(access(dirname(directory))).rejects.toThrow('ENOENT');
  });

  it('is not swept while it runs', async () => {
    const next = await createProcessEnvironment(options);
    await next.destroy();
    await access(join(directory, 'postgres', 'data', 'PG_VERSION'));
    expect((await processesNaming(token)).length).toBeGreaterThan(0);
  });
});

describe('the sweep', () => {
  it('removes what the dead left behind, and nothing of others', async () => {
    const work = await mkdtemp(join(base, 'sweep-'));
    const at = (name: string) => join(work, name);
    const owned = async (name: string, owner: string) => {
      await mkdir(join(at(name), 'work'), { recursive: true });
      await writeFile(join(at(name), 'owner.json'), owner);
    };
    // This process did not start at tick 1 of the machine: its number was given anew.
    await owned('lifeboat-drill-reused', JSON.stringify({ pid: process.pid, startedAt: '1' }));
    await owned('lifeboat-drill-gone', JSON.stringify({ pid: 4_194_305, startedAt: '1' }));
    const elsewhere = { pid: 4_194_305, startedAt: '1', where: 'another machine' };
    await owned('lifeboat-drill-elsewhere', JSON.stringify(elsewhere));
    await owned('somebody-else', JSON.stringify({ pid: 4_194_305, startedAt: '1' }));
    await mkdir(at('lifeboat-drill-being-made'));
    await mkdir(at('lifeboat-drill-half-removed'));
    const yesterday = new Date(Date.now() - 86_400_000);
    await utimes(at('lifeboat-drill-half-removed'), yesterday, yesterday);
    await symlink(base, at('lifeboat-drill-link'));
    const environment = await createProcessEnvironment({ ...options, workDirectory: work });
    await environment.destroy();
    const kept = [
      'lifeboat-drill-being-made',
      'lifeboat-drill-elsewhere',
      'lifeboat-drill-link',
      'somebody-else',
    ];
    expect((await readdir(work)).toSorted()).toEqual(kept);
  });
});

describe('a process environment that cannot be made', () => {
  it('says which package is missing', async () => {
    await withPath(join(base, 'nothing'), async () => {
      const environment = await createProcessEnvironment(options);
      await expect(environment.prepare()).rejects.toMatchObject({
        code: 'drill-impossible',
        hints: ['Install it: apt-get install bubblewrap'],
      });
      await environment.destroy();
    });
  });

  it('tells what bubblewrap said', async () => {
    const bin = await mkdtemp(join(base, 'bin-'));
    const script = '#!/bin/sh\necho "bwrap: No permissions to create new namespace" >&2\nexit 1\n';
    await writeFile(join(bin, 'bwrap'), script, { mode: 0o755 });
    await withPath(`${bin}${delimiter}${process.env['PATH']}`, async () => {
      const environment = await createProcessEnvironment(options);
      await expect(environment.prepare()).rejects.toMatchObject({
        code: 'drill-impossible',
        message: 'the sandbox ended (status 1): bwrap: No permissions to create new namespace',
      });
      await environment.destroy();
    });
  });

  it('names the directory where no PostgreSQL is', async () => {
    const postgresDirectory = await mkdtemp(join(base, 'pg-'));
    const environment = await createProcessEnvironment({ ...options, postgresDirectory });
    await environment.prepare();
    await expect(environment.postgres()).rejects.toMatchObject({
      code: 'drill-impossible',
      message: expect.stringContaining(postgresDirectory),
      hints: [expect.stringContaining('apt-get install postgresql')],
    });
    await environment.destroy();
  });

  it('refuses a work directory in which sockets would have too long a name, or that is not there', async () => {
    const long = join(base, 'x'.repeat(60));
    await mkdir(long);
    await expect(createProcessEnvironment({ ...options, workDirectory: long })).rejects.toMatchObject({
      code: 'drill-impossible',
      hints: [expect.stringContaining('drill.work_directory')],
    });
    expect(await readdir(long)).toEqual([]);
    const missing = join(base, 'missing');
    await expect(createProcessEnvironment({ ...options, workDirectory: missing })).rejects.toMatchObject({
      code: 'drill-impossible',
      message: expect.stringContaining('ENOENT'),
    });
  });

  it('does nothing before it is prepared', async () => {
    const environment = await createProcessEnvironment(options);
    await expect(environment.exec({ argv: ['true'] })).rejects.toMatchObject({ code: 'drill-impossible' });
    await environment.destroy();
  });
});

describe('a process environment', () => {
  it('keeps its directory, and no process, for who asks for it', async () => {
    const environment = await createProcessEnvironment({ ...options, keepDirectory: true });
    await environment.prepare();
    await environment.exec({ argv: ['sh', '-c', 'echo kept > file'] });
    await environment.destroy();
    expect(await readFile(join(environment.home, 'file'), 'utf8')).toBe('kept\n');
    await eventually(async () => (await processesNaming(environment.directory)).length === 0);
  });

  it('shows installations read-only at their own path, also such that lie in a closed directory', async () => {
    const closed = await mkdtemp(join(base, 'closed-'));
    const installation = join(closed, 'venv');
    await mkdir(installation);
    await writeFile(join(installation, 'program'), 'installed', { mode: 0o644 });
    await writeFile(join(closed, 'beside'), 'secret', { mode: 0o644 });
    const environment = await createProcessEnvironment({ ...options, readOnlyPaths: [installation] });
    await environment.prepare();
    const script = `cat ${installation}/program; cat ${closed}/beside; echo x > ${installation}/new`;
    const { stdout, stderr } = await environment.exec({ argv: ['sh', '-c', script] });
    expect(stdout).toBe('installed');
    expect(stderr).toContain('beside: No such file or directory');
    expect(stderr).toMatch(/new: (?:Read-only file system|Permission denied)/);
    expect(await readdir(installation)).toEqual(['program']);
    await environment.destroy();
  });

  it('tells resolvers inside where the federation of a name is served', async () => {
    const srv = { '_matrix-fed._tcp.example.com': { target: 'example.com', port: 8448 } };
    const environment = await createProcessEnvironment({ ...options, srv });
    await environment.prepare();
    const code = `require('dns').resolveSrv('_matrix-fed._tcp.example.com', (e, r) => console.log(e ?? r[0].name + ':' + r[0].port))`;
    const { stdout } = await environment.exec({ argv: ['/lifeboat/node', '-e', code] });
    expect(stdout).toBe('example.com:8448\n');
    expect((await environment.strayLookups()).filter((name) => name.includes('example.com'))).toEqual([]);
    await environment.destroy();
  });

  it('tells everybody who waits when its sandbox dies', async () => {
    const environment = await createProcessEnvironment(options);
    await environment.prepare();
    const service = await environment.run('sleeper', { argv: ['sleep', '86400'] });
    const waiting = environment.exec({ argv: ['sleep', '86400'] });
    const [bubblewrap] = await processesNaming(environment.directory);
    process.kill(bubblewrap!, 'SIGKILL');
    await expect(waiting).rejects.toMatchObject({ code: 'drill-impossible' });
    expect(await service.ended).toEqual({ exitCode: -1 });
    await expect(environment.connect(80)).rejects.toMatchObject({ code: 'start-failed' });
    await environment.destroy();
  });

  it('does not follow a link that was made inside to what lies outside', async () => {
    const environment = await createProcessEnvironment(options);
    await environment.prepare();
    const outside = await mkdtemp(join(base, 'outside-'));
    await writeFile(join(outside, 'file'), 'mine');
    await environment.exec({ argv: ['ln', '-s', outside, 'link'] });
    const before = await stat(join(outside, 'file'));
    await environment.handOver(environment.home);
    if (isRoot) {
      await expect(environment.handOver(join(environment.home, 'link', 'file'))).rejects.toMatchObject({
        code: 'not-sealed',
      });
    }
    expect((await stat(join(outside, 'file'))).uid).toBe(before.uid);
    await environment.destroy();
  });
});

async function withPath(path: string, act: () => Promise<void>): Promise<void> {
  const before = process.env['PATH'];
  process.env['PATH'] = path;
  try {
    await act();
  } finally {
    process.env['PATH'] = before;
  }
}
