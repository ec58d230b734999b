import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Config, DatabaseWay } from '../../src/config/index.ts';
import { systemClock } from '../../src/core/clock.ts';
import { freePorts, type LabSynapse } from '../../src/demo/lab/index.ts';
import { fillWorld } from '../../src/demo/world/index.ts';
import { planBackup } from '../../src/jobs/backup.ts';
import { examine } from '../../src/jobs/doctor.ts';
import { drill } from '../../src/jobs/drill.ts';
import { silent } from '../../src/observe/index.ts';
import { snapshotSource } from '../../src/restore/snapshot-source.ts';
import { docker, startPostgresContainer, type PostgresContainer } from '../docker/container.ts';
import { startSshd, type Sshd } from '../storage/sftp/sshd.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

/** A real Synapse whose PostgreSQL runs in a Docker container, with rooms that it shares with another server. */
let lab: Lab;
let container: PostgresContainer;
let home: LabSynapse;
let config: Config;
let sshd: Sshd;

const cleanUp = new AsyncDisposableStack();

beforeAll(async () => {
  const [port] = await freePorts(1);
  container = cleanUp.use(await startPostgresContainer({ name: 'synapse', publishedPort: port! }));
  lab = cleanUp.use(await startLab());
  sshd = cleanUp.use(await startSshd());
  home = await lab.startServer('home', { database: container.published });
  config = await lab.configure(home);
}, 180_000);

afterAll(() => cleanUp.disposeAsync());

const through = (way: DatabaseWay): Config => ({ ...config, database: { ...config.database, via: way } });
const inContainer = (client: DatabaseWay['client']): DatabaseWay => ({
  client,
  container: { tool: 'docker', container: container.name },
});

/** Backs up and drills; returns the version of the pg_dump that was used. */
async function backUpAndDrill(settings: Config): Promise<string> {
  const { outcome, repository } = await lab.backUp(settings);
  expect(outcome.omissions).toEqual([]);
  const { id } = outcome.commit.entry;
  const report = await drill({
    source: await snapshotSource(repository, id),
    program: PYTHON,
    settings: { peer: false, timeoutMs: 300_000, workDirectory: lab.directory, postgresDirectory: undefined },
    clientDirectory: undefined,
    keep: false,
    clock: systemClock,
    progress: silent,
  });
  const failed = report.steps.flatMap(({ checks, error }) => [
    ...checks.filter(({ result }) => result === 'fail'),
    ...(error === undefined ? [] : [error]),
  ]);
  expect({ result: report.result, failed }).toEqual({ result: 'PASS', failed: [] });
  return (await repository.manifest(id)).database.clientVersion;
}

it('is backed up through docker exec with the pg_dump of the container, because that of the host is too old, and drilled', async () => {
  const away = await lab.startServer('away');
  await fillWorld(home, away, { users: 2, messages: 6, media: 1 });
  await away.stop();
  const old = join(lab.directory, 'old');
  await mkdir(old);
  await writeFile(join(old, 'pg_dump'), '#!/bin/sh\necho "pg_dump (PostgreSQL) 12.22"\n', { mode: 0o755 });
  const settings = through(inContainer('auto'));
  const { database } = settings;
  const inside = (await docker('exec', container.name, 'pg_dump', '--version')).split(' ')[2]!.trim();
  expect(await backUpAndDrill({ ...settings, database: { ...database, clientDirectory: old } })).toBe(inside);
  expect(await container.commands()).toEqual([]);
  expect(await container.crashes()).toEqual([]);
});

it('is pulled over SSH out of its container with the newer pg_dump of the two, and drilled', async () => {
  const { port, user, identityFile, knownHostsFile, sshOptions = [] } = sshd.options('');
  const destination = `ssh://${user}@127.0.0.1:${port}`;
  await backUpAndDrill(
    through({
      ...inContainer('auto'),
      ssh: { destination, identityFile, knownHostsFile, options: sshOptions },
    }),
  );
  expect(await container.crashes()).toEqual([]);
});

it('the plan and the doctor warn of a pg_dump that is an older minor than the server', async () => {
  const old = join(lab.directory, 'older-minor');
  await mkdir(old);
  await writeFile(join(old, 'pg_dump'), '#!/bin/sh\necho "pg_dump (PostgreSQL) 15.0"\n', { mode: 0o755 });
  const settings = through(inContainer('host'));
  const withOld = { ...settings, database: { ...settings.database, clientDirectory: old } };
  const warning = expect.stringMatching(/^pg_dump 15\.0 is older than the server, PostgreSQL 15\.\d+; /);
  expect((await planBackup(withOld)).warnings).toContainEqual(warning);
  for await (const check of examine(withOld, systemClock)) {
    if (check.id !== 'doctor.dump-client') continue;
    expect(check).toMatchObject({ result: 'warn', observed: 'pg_dump 15.0 of this host', detail: [warning] });
    break;
  }
});

it('the plan and the doctor show the way and the pg_dump that would be used', async () => {
  const settings = through(inContainer('host'));
  const { database, warnings } = await planBackup(settings);
  const result = warnings.some((text) => text.startsWith('pg_dump ')) ? 'warn' : 'pass';
  expect(database).toMatchObject({
    via: `docker container ${container.name}`,
    client: expect.stringMatching(/^pg_dump \S+ of this host$/),
  });
  const checks = new Map<string, string>();
  for await (const { id, result, observed } of examine(settings, systemClock)) {
    checks.set(id, `${result}: ${observed}`);
    if (id === 'doctor.dump-client') break;
  }
  expect(checks.get('doctor.database')).toBe(
    `pass: synapse, PostgreSQL ${database.serverVersion}, through docker container ${container.name}`,
  );
  expect(checks.get('doctor.dump-client')).toBe(`${result}: ${database.client}`);
});
