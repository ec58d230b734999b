import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import {
  clientEnvironment,
  clusterFacts,
  compareInvariants,
  connect,
  databaseInfo,
  dumpDatabase,
  measureInvariants,
  openSnapshot,
  pgRestoreArgv,
  rolesSql,
  withPasswordFile,
} from '../../src/database/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import { startPostgres, type LabPostgres } from '../../src/demo/lab/index.ts';
import { fillWorld } from '../../src/demo/world/index.ts';
import { runCommand } from '../../src/exec/index.ts';
import { drill } from '../../src/jobs/drill.ts';
import { restore } from '../../src/jobs/restore.ts';
import { silent } from '../../src/observe/index.ts';
import { snapshotSource } from '../../src/restore/snapshot-source.ts';
import type { DatabaseComponent } from '../../src/repository/manifest.ts';
import type { RestoreSource } from '../../src/restore/source.ts';
import { MAJORS, NEWEST_CLIENTS, serverPrograms } from '../postgres-majors.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

type Major = (typeof MAJORS)[number];
const OLDEST = 13;
const NEWEST = 18;

let lab: Lab;
/** Of a real Synapse on PostgreSQL 15. */
let source: RestoreSource;
let synapse: PostgresTarget;
const servers = new Map<Major, LabPostgres>();

beforeAll(async () => {
  lab = await startLab();
  const home = await lab.startServer('home');
  synapse = home.database;
  await fillWorld(home, await lab.startServer('away'), { users: 2, messages: 10, media: 2 });
  const { outcome, repository } = await lab.backUp(await lab.configure(home));
  source = await snapshotSource(repository, outcome.commit.entry.id);
  await Promise.all(
    MAJORS.map(async (major) => {
      const directory = join(lab.directory, `postgres-${major}`);
      servers.set(major, await startPostgres({ directory, binDirectory: serverPrograms(major) }));
    }),
  );
}, 240_000);

afterAll(async () => {
  for (const server of servers.values()) await server.stop();
  await lab[Symbol.asyncDispose]();
});

let made = 0;

async function databaseOn(major: Major): Promise<PostgresTarget> {
  made += 1;
  return await servers.get(major)!.createDatabase(`made_${made}`, `made_${made}`);
}

async function dumpOf(target: PostgresTarget, clientDirectory: string) {
  await using snapshot = await openSnapshot(target, 'test');
  const invariants = await measureInvariants(snapshot.session);
  const { serverVersion } = await databaseInfo(snapshot.session);
  const { stream } = await dumpDatabase(target, {
    snapshotId: snapshot.snapshotId,
    serverVersion,
    part: { name: 'all', section: undefined, only: undefined, without: [] },
    clientDirectory,
    runId: 'test',
  });
  made += 1;
  const file = join(lab.directory, `${made}.dump`);
  await writeFile(file, await buffer(stream));
  return { file, invariants, serverVersion };
}

async function load(file: string, target: PostgresTarget, clients: string) {
  const argv = pgRestoreArgv(join(clients, 'pg_restore'), target.database, { file, jobs: 2 });
  const result = await withPasswordFile(target, (env) =>
    runCommand(argv, { env: { ...clientEnvironment(target, 'test'), ...env } }),
  );
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
}

async function measure(target: PostgresTarget) {
  await using session = await connect(target, { applicationName: 'test' });
  return await measureInvariants(session);
}

/** NOT NULL, generated columns, sequences that jumped, triggers, an extension, partial indexes, a partitioned table. */
const SCHEMA = `
  CREATE TABLE person (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL CHECK (name <> ''),
    loud text GENERATED ALWAYS AS (upper(name)) STORED, UNIQUE (name));
  CREATE TABLE said (person bigint NOT NULL REFERENCES person, at timestamptz NOT NULL DEFAULT now(), body jsonb);
  CREATE INDEX said_newest ON said (at DESC) WHERE body IS NOT NULL;
  CREATE SEQUENCE stream_seq CACHE 10 MINVALUE -5; SELECT setval('stream_seq', 4711);
  CREATE TYPE mood AS ENUM ('fine', 'tired');
  CREATE TABLE moods (day date NOT NULL, mood mood NOT NULL) PARTITION BY RANGE (day);
  CREATE TABLE moods_2026 PARTITION OF moods FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
  CREATE TRIGGER noted BEFORE INSERT ON said FOR EACH ROW EXECUTE FUNCTION note();
  INSERT INTO person (name) SELECT 'person ' || n FROM generate_series(1, 500) n;
  INSERT INTO said (person, body) SELECT id, '{}' FROM person;
  INSERT INTO moods VALUES ('2026-11-25', 'fine')`;

describe.each(MAJORS)('PostgreSQL %i', (major) => {
  it('is dumped by the newest client, and comes back equal into the two newest majors', async () => {
    const original = await databaseOn(major);
    await using session = await connect(original, { applicationName: 'test' });
    await session.query(SCHEMA);
    const { file, invariants, serverVersion } = await dumpOf(original, NEWEST_CLIENTS);
    expect(serverVersion).toMatch(new RegExp(`^${major}\\.`));
    expect(invariants.tableRows).toMatchObject({ person: 500, said: 500, moods: 1 });
    for (const into of [17, NEWEST] as const) {
      const copy = await databaseOn(into);
      await load(file, copy, NEWEST_CLIENTS);
      expect(compareInvariants(invariants, await measure(copy), { withoutRows: [] }), `${into}`).toEqual([]);
    }
  });
});

it.each(MAJORS)(
  'roles, memberships and settings of a database on %i can be made again elsewhere',
  async (major) => {
    const original = await databaseOn(major);
    const [reader, group, person] = ['reader', 'group', 'person'].map((name) => `${name}_of_${major}`);
    await using admin = await connect(
      { ...servers.get(major)!.target, database: original.database },
      { applicationName: 'test' },
    );
    await admin.query(`CREATE TABLE said (body text COLLATE "C"); CREATE INDEX ON said (body);
    CREATE ROLE ${reader} NOINHERIT CONNECTION LIMIT 3; CREATE ROLE ${group} CREATEDB; CREATE ROLE ${person} LOGIN PASSWORD 'hidden';
    GRANT SELECT ON said TO ${reader}; GRANT ${group} TO ${reader} WITH ADMIN OPTION; GRANT ${reader} TO ${person};
    ALTER ROLE ${reader} IN DATABASE ${original.database} SET work_mem = '7MB';
    ALTER DATABASE ${original.database} SET search_path = "$user", public;
    ALTER DATABASE ${original.database} SET app.token = 'hidden'`);
    const facts = await clusterFacts(admin);
    expect(facts.roles).toEqual(
      [
        { name: group, attributes: ['NOLOGIN', 'CREATEDB'], memberOf: [] },
        { name: original.user, attributes: ['LOGIN'], memberOf: [] },
        { name: person, attributes: ['LOGIN'], memberOf: [{ role: reader, admin: false }] },
        {
          name: reader,
          attributes: ['NOLOGIN', 'NOINHERIT', 'CONNECTION LIMIT 3'],
          memberOf: [{ role: group, admin: true }],
        },
      ].toSorted((a, b) => (a.name! < b.name! ? -1 : 1)),
    );
    expect(facts).toMatchObject({ localeProvider: 'libc', collationDrift: [], tablespaces: [] });
    expect(JSON.stringify(facts)).not.toContain('hidden');

    const info = await databaseInfo(admin);
    await using elsewhere = await connect(lab.postgres.target, { applicationName: 'test' });
    await elsewhere.query(`CREATE DATABASE ${original.database}`);
    const sql = rolesSql({ ...info, cluster: facts } as unknown as DatabaseComponent);
    await elsewhere.query(sql.join('\n'));
    await using copy = await connect(
      { ...lab.postgres.target, database: original.database },
      { applicationName: 'test' },
    );
    await copy.query(`CREATE TABLE said (body text); GRANT SELECT ON said TO ${reader};
    ALTER DATABASE ${original.database} OWNER TO ${original.user}`);
    const remade = await clusterFacts(copy);
    expect(remade.roles).toEqual(facts.roles);
    expect(remade.settings).toEqual(facts.settings.filter(({ value }) => value !== null));
  },
);

it('Synapse’s schema comes back equal from the oldest major into the newest', async () => {
  const clients = serverPrograms(15);
  const { file, invariants } = await dumpOf(synapse, clients);
  const old = await databaseOn(OLDEST);
  await load(file, old, clients);
  expect(compareInvariants(invariants, await measure(old), { withoutRows: [] })).toEqual([]);
  const fromOldest = await dumpOf(old, clients);
  const copy = await databaseOn(NEWEST);
  await load(fromOldest.file, copy, clients);
  expect(compareInvariants(invariants, await measure(copy), { withoutRows: [] })).toEqual([]);
});

it('a snapshot of Synapse on PostgreSQL 15 federates on 18, and the report says that the major is another', async () => {
  const report = await drill({
    source,
    program: PYTHON,
    settings: {
      peer: false,
      timeoutMs: 300_000,
      workDirectory: lab.directory,
      postgresDirectory: serverPrograms(NEWEST),
    },
    clientDirectory: undefined,
    keep: false,
    clock: systemClock,
    progress: silent,
  });
  const checks = report.steps.flatMap((step) => step.checks);
  expect(checks.filter(({ result }) => result === 'fail')).toEqual([]);
  expect(report).toMatchObject({ result: 'PASS', exitStatus: 0 });
  expect(checks.find(({ id }) => id === 'database.postgres-major')?.observed).toMatch(
    /^18\.\d+: a newer major than 15\.\d+$/,
  );
}, 180_000);

it('says what to do when pg_restore is too new for the server', async () => {
  const directory = join(lab.directory, 'restored-14');
  await mkdir(directory);
  const { result, steps } = await restore({
    source,
    directory,
    database: await databaseOn(14),
    program: PYTHON,
    clientDirectory: NEWEST_CLIENTS,
    clock: systemClock,
    progress: silent,
  });
  expect(result).toBe('FAIL');
  expect(steps[0]!.error).toMatchObject({
    code: 'database-restore-failed',
    hints: [expect.stringContaining('an older pg_restore as database.client_directory')],
  });
});

it('a snapshot of PostgreSQL 15 is restored for real into 17', async () => {
  const directory = join(lab.directory, 'restored-17');
  await mkdir(directory);
  const outcome = await restore({
    source,
    directory,
    database: await databaseOn(17),
    program: PYTHON,
    clientDirectory: undefined,
    clock: systemClock,
    progress: silent,
  });
  expect(outcome.steps.flatMap(({ checks }) => checks).filter(({ result }) => result === 'fail')).toEqual([]);
  expect(outcome.result).toBe('PASS');
}, 120_000);
