import { execFileSync, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatabaseWay } from '../../src/config/index.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  clientEnvironment,
  connect,
  describeDumpClient,
  dumpDatabase,
  openSnapshot,
  withPasswordFile,
} from '../../src/database/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import { runCommand } from '../../src/exec/index.ts';
import { CONTAINER_PASSWORD, docker, standIns, startPostgresContainer } from '../docker/container.ts';
import type { PostgresContainer } from '../docker/container.ts';
import { startSshd, type Sshd } from '../storage/sftp/sshd.ts';

const ROWS = 20_000;
let container: PostgresContainer;
let sshd: Sshd;
let directory: string;
/** The container's socket directory, seen from this machine. */
let sockets: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-ways-'));
  await chmod(directory, 0o755);
  sockets = join(directory, 'sockets');
  await mkdir(sockets);
  await chmod(sockets, 0o777);
  [container, sshd] = await Promise.all([
    startPostgresContainer({ name: 'ways', args: ['--volume', `${sockets}:/var/run/postgresql`] }),
    startSshd(),
  ]);
  await container.sql(
    `CREATE TABLE events AS SELECT n, md5(n::text) AS body FROM generate_series(1, ${ROWS}) n`,
  );
  // Beside the trust of local connections a password, as between containers.
  await container.sql(
    `CREATE ROLE far LOGIN SUPERUSER PASSWORD '${CONTAINER_PASSWORD.replaceAll("'", "''")}'`,
  );
}, 120_000);

afterAll(async () => {
  await container[Symbol.asyncDispose]();
  await sshd[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

type Client = DatabaseWay['client'];
const inContainer = (client: Client = 'auto'): DatabaseWay => ({
  client,
  container: { tool: 'docker', container: container.name },
});
const target = (way: DatabaseWay, host = ''): PostgresTarget => ({
  host,
  port: 5432,
  user: 'synapse',
  password: new Secret(CONTAINER_PASSWORD),
  database: 'synapse',
  way,
});

/** ssh to a server that runs in the container's network: nothing but ssh leads there. */
function intoNetwork(client: Client = 'auto', options: readonly string[] = []): DatabaseWay {
  const { port, user, identityFile, knownHostsFile, sshOptions = [] } = sshd.options('');
  const server = `nsenter --net=/proc/${container.pid}/ns/net /usr/sbin/sshd -i -f ${join(sshd.directory, 'sshd_config')}`;
  const inside = [`ProxyCommand=${server}`, `HostKeyAlias=[127.0.0.1]:${port}`];
  return {
    client,
    ssh: {
      destination: `${user}@far`,
      identityFile,
      knownHostsFile,
      options: [...inside, ...sshOptions, ...options],
    },
  };
}

/** The same server, on this machine. */
function toThisMachine(client: Client = 'auto'): DatabaseWay {
  const { port, user, identityFile, knownHostsFile, sshOptions = [] } = sshd.options('');
  return {
    client,
    ssh: {
      destination: `ssh://${user}@127.0.0.1:${port}`,
      identityFile,
      knownHostsFile,
      options: sshOptions,
    },
  };
}

async function dump(from: PostgresTarget, more: { clientDirectory?: string; serverVersion?: string } = {}) {
  await using snapshot = await openSnapshot(from, 'test');
  const { stream, clientVersion } = await dumpDatabase(from, {
    snapshotId: snapshot.snapshotId,
    serverVersion: '15.0',
    part: { name: 'whole', section: undefined, only: undefined, without: [] },
    runId: 'test',
    ...more,
  });
  return { archive: await buffer(stream), clientVersion };
}

/** SQL, a client program of this host, and a dump that holds all rows: what a backup needs of a way. */
async function expectToLeadThere(from: PostgresTarget): Promise<void> {
  await using session = await connect(from, { applicationName: 'test' });
  expect(await session.query('SELECT count(*) AS rows FROM events')).toEqual([{ rows: ROWS }]);
  let last = 0;
  for await (const { n } of session.stream<{ n: number }>('SELECT n FROM events ORDER BY n')) last = n;
  expect(last).toBe(ROWS);
  const { archive } = await dump(from);
  const file = join(directory, 'one.dump');
  await writeFile(file, archive);
  const restored = await runCommand(['pg_restore', '--data-only', '--table=events', '--file=-', file]);
  expect(restored.stdout.split('\n').filter((line) => /^\d+\t[0-9a-f]{32}$/.test(line))).toHaveLength(ROWS);
}

/** A pg_dump that is older than every server. */
async function oldClient(): Promise<string> {
  const path = join(directory, 'old');
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'pg_dump'), '#!/bin/sh\necho "pg_dump (PostgreSQL) 12.22"\n', { mode: 0o755 });
  return path;
}

const socketDirectories = async (): Promise<string[]> =>
  (await readdir(tmpdir())).filter(
    (name) => name.startsWith('lifeboat-pg-') && name.includes(`-${process.pid}-`),
  );

describe('through docker exec', () => {
  it.each(['host', 'remote'] as const)(
    'a snapshot is read and dumped with the pg_dump of the %s',
    async (client) => {
      await expectToLeadThere(target(inContainer(client)));
      expect(await socketDirectories()).toEqual([]);
      expect(await container.commands()).toEqual([]);
    },
  );

  it('takes the pg_dump of the container where that of the host is too old, unless it must not', async () => {
    const clientDirectory = await oldClient();
    const inside = (await docker('exec', container.name, 'pg_dump', '--version')).split(' ')[2]!.trim();
    expect((await dump(target(inContainer()), { clientDirectory })).clientVersion).toBe(inside);
    expect(await describeDumpClient(target(inContainer()), '15.0', clientDirectory)).toEqual({
      client: `pg_dump ${inside} of docker container ${container.name}`,
      warnings: [],
    });
    await expect(dump(target(inContainer('host')), { clientDirectory })).rejects.toMatchObject({
      code: 'database-client-old',
      message: 'pg_dump 12.22 cannot dump a PostgreSQL 15.0 server',
      hints: [expect.stringContaining('postgresql-client-15'), expect.stringContaining('client: auto')],
    });
    await expect(describeDumpClient(target(inContainer()), '99.1', clientDirectory)).rejects.toMatchObject({
      code: 'database-client-old',
      message: `no pg_dump can dump a PostgreSQL 99.1 server: 12.22 here, ${inside} in docker container ${container.name}`,
    });
  });

  it.each(['host', 'remote'] as const)(
    'shows no password in any command line, here or there, and leaves nothing when it is killed (pg_dump of the %s)',
    async (client) => {
      // More than the pipes hold, and nobody reads it, so that there is time to look.
      await container.sql(
        'CREATE TABLE large AS SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 120000) n',
      );
      const way = { ...target(inContainer(client)), password: undefined };
      const child = spawn(
        process.execPath,
        [new URL('./database-ways-child.ts', import.meta.url).pathname, JSON.stringify(way)],
        { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TEST_PASSWORD: CONTAINER_PASSWORD } },
      );
      try {
        const ours = async () =>
          (
            await container.sql(
              `SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'lifeboat:%'`,
            )
          )
            .split('\n')
            .filter((line) => line !== '');
        await expect.poll(ours, { timeout: 20_000 }).toContain('lifeboat:killed:dump:whole');
        await once(child.stdout, 'data');
        const lines = [...(await container.commands()), await allCommandLines()].join('\n');
        expect(lines).toContain('--snapshot=');
        expect(lines).not.toContain(CONTAINER_PASSWORD);
        child.kill('SIGKILL');
        await once(child, 'exit');
        await expect.poll(ours, { timeout: 20_000 }).toEqual([]);
        await expect.poll(() => container.commands(), { timeout: 20_000 }).toEqual([]);
      } finally {
        child.kill('SIGKILL');
        await container.sql('DROP TABLE large');
      }
    },
  );

  it('fails the dump when pg_dump is killed there, and when the container is', async () => {
    await using other = await startPostgresContainer({ name: 'ends' });
    const way: DatabaseWay = { client: 'remote', container: { tool: 'docker', container: other.name } };
    await other.sql('CREATE TABLE slow AS SELECT 1 AS n');
    await using holder = await connect(target(way), { applicationName: 'holder' });
    await holder.query('BEGIN; LOCK TABLE slow IN ACCESS EXCLUSIVE MODE');
    const killDump = `kill -9 $(grep -l '(pg_dump)' /proc/[0-9]*/stat | cut -d/ -f3)`;
    for (const end of [
      ['exec', other.name, 'sh', '-c', killDump],
      ['kill', other.name],
    ]) {
      const dumping = dump(target(way)).then(
        () => 'went well',
        (error: { code: string }) => error.code,
      );
      await expect
        .poll(async () => (await other.commands()).join(), { timeout: 20_000 })
        .toContain('pg_dump --format');
      await docker(...end);
      expect(await dumping).toBe('database-dump-failed');
    }
  });

  it('tells a container that is not there from one that is stopped, and from an engine that does not answer', async () => {
    const nowhere: DatabaseWay = { client: 'auto', container: { tool: 'docker', container: 'not-there' } };
    const said = (way: DatabaseWay) =>
      connect(target(way), { applicationName: 'test' }).then(
        () => 'connected',
        (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
      );
    expect(await said(nowhere)).toMatch(
      /^database-unreachable: cannot reach the database through docker container not-there: it is not there: .*No such container/,
    );
    const stopped = `lifeboat-test-stopped-${process.pid}`;
    await docker(
      'create',
      '--label',
      `matrix-lifeboat.test=${process.pid}`,
      '--name',
      stopped,
      'lifeboat-test/postgres:15',
    );
    try {
      expect(await said({ client: 'auto', container: { tool: 'docker', container: stopped } })).toContain(
        'it does not run',
      );
    } finally {
      await docker('rm', '--force', '--volumes', stopped);
    }
    const before = process.env['DOCKER_HOST'];
    process.env['DOCKER_HOST'] = `unix://${directory}/no.sock`;
    try {
      expect(await said(inContainer())).toContain('no container engine answers');
    } finally {
      if (before === undefined) delete process.env['DOCKER_HOST'];
      else process.env['DOCKER_HOST'] = before;
    }
  });

  it('lets a client program of the host say what is wrong with the way', async () => {
    const there = target({ client: 'host', container: { tool: 'docker', container: 'not-there' } });
    const { stderr } = await withPasswordFile(there, (env) =>
      runCommand(['psql', '-c', 'SELECT 1'], { env: { ...clientEnvironment(there, 'test'), ...env } }),
    );
    expect(stderr).toContain('No such container');
  });

  it('passes on what the server refuses', async () => {
    await expect(
      connect({ ...target(inContainer()), database: 'nowhere' }, { applicationName: 'test' }),
    ).rejects.toMatchObject({
      code: 'database-unreachable',
      message: expect.stringContaining('there is no database nowhere'),
    });
  });
});

describe('through podman exec and kubectl exec, played by programs that take only their documented syntax', () => {
  it.each(['host', 'remote'] as const)('both lead there, with the pg_dump of the %s', async (client) => {
    const path = process.env['PATH'];
    process.env['PATH'] = `${await standIns(join(directory, 'bin'), container.name)}:${path}`;
    try {
      await expectToLeadThere(
        target({ client, container: { tool: 'podman', container: 'the-database', user: 'postgres' } }),
      );
      await expectToLeadThere(
        target({
          client,
          container: {
            tool: 'kubectl',
            pod: 'synapse-db-0',
            namespace: 'matrix',
            container: 'postgres',
            context: 'blue',
            kubeconfig: '/etc/kube',
          },
        }),
      );
    } finally {
      process.env['PATH'] = path;
    }
  });
});

describe('over SSH', () => {
  it('a port is reached that nothing else leads to, by an account that may nothing else', async () => {
    const keys = join(sshd.directory, 'authorized_keys');
    const before = await readFile(keys, 'utf8');
    const far = { ...target(intoNetwork('host'), '127.0.0.1'), user: 'far' };
    try {
      await writeFile(
        keys,
        `restrict,port-forwarding,permitopen="127.0.0.1:5432",command="/bin/false" ${before}`,
      );
      await expectToLeadThere(far);
      await expect(connect({ ...far, port: 5433 }, { applicationName: 'test' })).rejects.toMatchObject({
        code: 'database-denied',
        hints: [expect.stringContaining('permitopen')],
      });
    } finally {
      await writeFile(keys, before);
    }
    await expect(connect({ ...far, port: 5433 }, { applicationName: 'test' })).rejects.toThrow(
      /Connection refused/,
    );
  });

  it('a socket is reached, with the pg_dump of either side', async () => {
    for (const client of ['host', 'remote'] as const)
      await expectToLeadThere(target(toThisMachine(client), sockets));
  });

  it('a container of the other machine is reached, with the pg_dump of either side', async () => {
    for (const client of ['host', 'remote'] as const)
      await expectToLeadThere(target({ ...inContainer(client), ssh: toThisMachine().ssh }));
  });

  it('says what ssh has against it', async () => {
    const { ssh } = toThisMachine();
    const said = (change: Partial<NonNullable<DatabaseWay['ssh']>>) =>
      connect(target({ client: 'auto', ssh: { ...ssh!, ...change } }, '127.0.0.1'), {
        applicationName: 'test',
      }).then(
        () => 'connected',
        (error: { message: string }) => error.message,
      );
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, 'stranger')]);
    expect(await said({ identityFile: join(directory, 'stranger') })).toContain('it refuses our key');
    expect(await said({ knownHostsFile: '/dev/null' })).toContain('its host key is not known');
    expect(await said({ destination: 'ssh://127.0.0.1:1' })).toContain('Connection refused');
  });
});

it('never has PostgreSQL take an orphan of ours for a crashed process of its own, and restart', async () => {
  for (let times = 0; times < 5; times += 1) await dump(target(inContainer('remote')));
  expect(await container.crashes()).toEqual([]);
});

async function allCommandLines(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
  return (await Promise.all(lines)).join('\n');
}
