import { randomBytes } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/database/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import type { Environment } from '../../src/environment/port.ts';
import { eventually, processesNaming } from '../environment/processes.ts';
import { connectionContract } from './environment-connections.ts';

/** Names that must lead to loopback inside. */
export const HOST_NAMES = ['example.com', 'probe.drill.invalid'];

const PYTHON = '/usr/bin/python3';
/** What src/environment/port.ts promises. `make` gives one that is not prepared. */
export function environmentContract(name: string, make: () => Promise<Environment>): void {
  describe(`environment: ${name}`, () => {
    let environment: Environment;
    let outside: string;

    beforeAll(async () => {
      outside = await mkdtemp(join(tmpdir(), 'lifeboat-outside-'));
      environment = await make();
      await environment.prepare();
    });

    afterAll(async () => {
      await environment.destroy();
      await rm(outside, { recursive: true });
    });

    describe('the seal', () => {
      it('holds against every attempt to leave, and tells what the kernel said to each', async () => {
        const attempts = await environment.attemptEscape();
        expect(attempts.filter(({ escaped }) => escaped)).toEqual([]);
        expect(attempts.every(({ observed }) => observed !== '')).toBe(true);
        const targets = attempts.map(({ target }) => target);
        expect(targets).toEqual(
          expect.arrayContaining([
            'TCP 1.1.1.1:443',
            'TCP 10.0.0.1:80',
            'UDP 8.8.8.8:53',
            'dns www.iana.org',
          ]),
        );
        expect(await environment.outsidePackets()).toBe(0);
      });

      it('holds for programs inside as for our own attempts', async () => {
        const code = `import socket; socket.create_connection(('1.1.1.1', 443), 5)`;
        const { exitCode, stderr } = await environment.exec({ argv: [PYTHON, '-c', code] });
        expect(exitCode).not.toBe(0);
        expect(stderr).toContain('Network is unreachable');
      });

      it('runs things as a user who is not root and cannot become it', async () => {
        const { stdout } = await environment.exec({
          argv: [PYTHON, '-c', 'import os; print(os.getuid(), *os.getresuid())'],
        });
        const ids = stdout.trim().split(' ').map(Number);
        expect(new Set(ids).size).toBe(1);
        expect(ids[0]).toBeGreaterThan(0);
        expect(environment.user).toContain(String(ids[0]));
        const status = await environment.exec({ argv: ['cat', '/proc/self/status'] });
        expect(status.stdout).toMatch(/^NoNewPrivs:\t1$/m);
        // CAP_NET_BIND_SERVICE is capability 10.
        expect(status.stdout).toMatch(/^CapBnd:\t(?:0000000000000400|0{16})$/m);
        expect(status.stdout).toMatch(/^CapEff:\t(?:0000000000000400|0{16})$/m);
      });

      it('shows nothing of the machine but programs and its own directory', async () => {
        const secret = join(outside, 'secret');
        await writeFile(secret, 'secret', { mode: 0o644 });
        for (const path of [secret, '/etc/shadow', '/etc/hostname', '/var/lib', '/run/systemd', '/home']) {
          const { exitCode } = await environment.exec({ argv: ['ls', '-d', path] });
          expect.soft(exitCode, path).not.toBe(0);
        }
      });

      it('shows no process of the machine', async () => {
        const { stdout } = await environment.exec({ argv: ['ls', '/proc'] });
        const pids = stdout.split('\n').filter((entry) => /^\d+$/.test(entry));
        expect(pids.length).toBeLessThan(30);
        expect(pids.map(Number).every((pid) => pid < 10_000)).toBe(true);
      });

      it('lets nothing be written but in its own directory and in temporary files', async () => {
        for (const path of ['/usr/x', '/usr/bin/x', '/etc/x', '/etc/hosts', '/x']) {
          const { exitCode } = await environment.exec({ argv: ['sh', '-c', `echo x >> ${path}`] });
          expect.soft(exitCode, path).not.toBe(0);
        }
        const own = await environment.exec({
          argv: ['sh', '-c', 'echo inside > written && echo x > /tmp/x'],
        });
        expect(own.exitCode).toBe(0);
        expect(await readFile(join(environment.home, 'written'), 'utf8')).toBe('inside\n');
        await expect(access('/tmp/x')).rejects.toThrow('ENOENT');
      });
    });

    describe('names', () => {
      it.each(HOST_NAMES)('of the drill lead to loopback: %s', async (host) => {
        const code = `import socket; print(*{a[4][0] for a in socket.getaddrinfo('${host}', 443)})`;
        const { stdout } = await environment.exec({ argv: [PYTHON, '-c', code] });
        expect(stdout.trim()).toBe('127.0.0.1');
      });

      it('of others do not exist, which is said without waiting, and who was asked for is remembered', async () => {
        const code = `import socket
for name in ('stray.matrix.org', 'push.example.com'):
    try:
        socket.getaddrinfo(name, 443); print('found')
    except socket.gaierror as error:
        print(error.errno == socket.EAI_NONAME)`;
        // A resolver without an answer waits for five seconds, twice.
        const { stdout, stderr } = await environment.exec({ argv: [PYTHON, '-c', code], timeoutMs: 5000 });
        expect(stderr).toBe('');
        expect(stdout.trim().split('\n')).toEqual(['True', 'True']);
        expect(await environment.strayLookups()).toEqual(
          expect.arrayContaining(['stray.matrix.org', 'push.example.com']),
        );
        expect(await environment.strayLookups()).not.toContain('example.com');
      });
    });

    describe('commands', () => {
      it('give their exit status and both outputs, and see the variables and directory they are given', async () => {
        await mkdir(join(environment.directory, 'there'));
        await environment.handOver(join(environment.directory, 'there'));
        const result = await environment.exec({
          argv: ['sh', '-c', 'pwd; echo "$GIVEN" >&2; exit 7'],
          env: { GIVEN: 'a value' },
          cwd: join(environment.directory, 'there'),
        });
        expect(result).toEqual({
          exitCode: 7,
          stdout: `${join(environment.directory, 'there')}\n`,
          stderr: 'a value\n',
        });
      });

      it('get none of our own variables', async () => {
        process.env['LIFEBOAT_TEST_CANARY'] = 'canary';
        const { stdout } = await environment.exec({ argv: ['env'] });
        delete process.env['LIFEBOAT_TEST_CANARY'];
        expect(stdout).toContain('PATH=');
        expect(stdout).not.toContain('canary');
      });

      it('are cut at one mebibyte of output, and still end', async () => {
        const { exitCode, stdout } = await environment.exec({
          argv: [PYTHON, '-c', 'print("x" * 3_000_000, end="")'],
        });
        expect(exitCode).toBe(0);
        expect(stdout.length).toBe(1024 * 1024);
      });

      it('that take too long are ended with their children, and one that left their group holds nobody up', async () => {
        const token = `86400.${randomBytes(4).readUInt32BE()}`;
        const script = `sleep ${token} & setsid sleep ${token} & echo begun; wait`;
        const result = await environment.exec({ argv: ['sh', '-c', script], timeoutMs: 700 });
        expect(result.exitCode).toBe(-1);
        expect(result.stdout).toBe('begun\n');
        expect(result.stderr).toContain('ended after 700 ms');
        await eventually(async () => (await processesNaming(token)).length === 1);
      });

      it('that do not exist are an error', async () => {
        const error = { code: 'drill-impossible', message: expect.stringContaining('no-such-program') };
        await expect(environment.exec({ argv: ['no-such-program'] })).rejects.toMatchObject(error);
        await expect(environment.run('missing', { argv: ['no-such-program'] })).rejects.toMatchObject(error);
      });
    });

    describe('services', () => {
      it('write their output to a log, and tell when they die by themselves', async () => {
        const service = await environment.run('dying', {
          argv: ['sh', '-c', 'echo one; echo two >&2; exit 3'],
        });
        expect(await service.ended).toEqual({ exitCode: 3 });
        expect(service.logFile).toBe(join(environment.directory, 'logs', 'dying.log'));
        expect(await readFile(service.logFile, 'utf8')).toBe('one\ntwo\n');
      });

      it('are told of when a signal ends them', async () => {
        const service = await environment.run('killed', { argv: ['sh', '-c', 'kill -9 $$'] });
        expect(await service.ended).toEqual({ exitCode: -1 });
      });

      it('end when they are stopped, with their children; stopping twice is no error', async () => {
        const token = `86400.${randomBytes(4).readUInt32BE()}`;
        const service = await environment.run('stopped', {
          argv: ['sh', '-c', `sleep ${token} & sleep ${token}; wait`],
        });
        await eventually(async () => (await processesNaming(token)).length >= 2);
        await service.stop();
        await service.ended;
        await service.stop();
        await eventually(async () => (await processesNaming(token)).length === 0);
      });

      it('have names of their own', async () => {
        const first = await environment.run('twice', { argv: ['sleep', '86400'] });
        await expect(environment.run('twice', { argv: ['sleep', '86400'] })).rejects.toMatchObject({
          message: expect.stringContaining('twice'),
        });
        await first.stop();
        expect(await first.ended).toEqual({ exitCode: -1 });
      });
    });

    connectionContract(() => environment);

    describe('PostgreSQL', () => {
      let target: PostgresTarget;

      beforeAll(async () => {
        target = await environment.postgres();
      });

      it('is a cluster with UTF8 and the C locale that answers from outside, by its socket', async () => {
        expect(target.host.startsWith(environment.directory)).toBe(true);
        await using session = await connect(target, { applicationName: 'contract' });
        const rows = await session.query(
          `SELECT current_setting('server_encoding') AS encoding, datcollate AS collation, datctype AS ctype,
             current_setting('fsync') AS fsync, current_setting('listen_addresses') AS addresses
           FROM pg_database WHERE datname = 'postgres'`,
        );
        expect(rows).toEqual([{ encoding: 'UTF8', collation: 'C', ctype: 'C', fsync: 'off', addresses: '' }]);
      });

      it('answers by the same socket inside', async () => {
        const argv = [
          'psql',
          '-h',
          target.host,
          '-p',
          String(target.port),
          '-U',
          target.user,
          '-Atc',
          'SELECT 6 * 7',
        ];
        const { stdout, stderr } = await environment.exec({ argv: [...argv, target.database] });
        expect({ stdout, stderr }).toEqual({ stdout: '42\n', stderr: '' });
      });

      it('listens at no port', async () => {
        await expect(environment.connect(target.port)).rejects.toMatchObject({ code: 'start-failed' });
      });

      it("shows its socket to nobody but the environment's user", async () => {
        expect((await stat(target.host)).mode & 0o777).toBe(0o700);
      });
    });

    describe('files', () => {
      it('that are handed over belong to the user inside, also in directories', async () => {
        const directory = join(environment.directory, 'handed');
        await mkdir(join(directory, 'below'), { recursive: true, mode: 0o700 });
        await writeFile(join(directory, 'below', 'file'), 'content', { mode: 0o600 });
        await symlink('/etc/shadow', join(directory, 'link'));
        const shadow = await stat('/etc/shadow');
        await environment.handOver(directory);
        const { stdout } = await environment.exec({
          argv: ['sh', '-c', 'cat below/file && echo more > below/new'],
          cwd: directory,
        });
        expect(stdout).toBe('content');
        expect((await stat('/etc/shadow')).uid).toBe(shadow.uid);
      });

      it('elsewhere are not handed over, not even by a link that was put there from inside', async () => {
        await expect(environment.handOver(outside)).rejects.toMatchObject({ code: 'internal' });
        await expect(
          environment.handOver(join(environment.directory, '..', 'sandbox.log')),
        ).rejects.toMatchObject({ code: 'internal' });
      });
    });

    describe('the end', () => {
      it('leaves no process and no directory, and is idempotent', async () => {
        const token = `86400.${randomBytes(4).readUInt32BE()}`;
        const other = await make();
        await other.prepare();
        await other.run('sleeper', {
          argv: ['sh', '-c', `trap '' TERM; setsid sleep ${token} & sleep ${token}`],
        });
        await other.listen(9444, () => undefined);
        await eventually(async () => (await processesNaming(token)).length >= 2);
        await other.destroy();
        await other.destroy();
        await eventually(async () => (await processesNaming(token)).length === 0);
        await eventually(async () => (await processesNaming(other.directory)).length === 0);
        await expect(access(other.directory)).rejects.toThrow('ENOENT');
        await expect(other.exec({ argv: ['true'] })).rejects.toMatchObject({ code: 'drill-impossible' });
      });

      it('may come before the beginning, and twice at once', async () => {
        const other = await make();
        await Promise.all([other.destroy(), other.destroy()]);
        await expect(access(other.directory)).rejects.toThrow('ENOENT');
      });
    });
  });
}
