import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.ts';
import { systemClock } from '../../src/core/clock.ts';
import { connect, openSnapshotsTogether } from '../../src/database/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import { startPostgres, type LabPostgres } from '../../src/demo/lab/index.ts';
import { fillWorld } from '../../src/demo/world/index.ts';
import { planBackup } from '../../src/jobs/backup.ts';
import { drill } from '../../src/jobs/drill.ts';
import { restorePart } from '../../src/jobs/restore-part.ts';
import { restore } from '../../src/jobs/restore.ts';
import { silent } from '../../src/observe/index.ts';
import type { Manifest } from '../../src/repository/manifest.ts';
import type { RestoreContext } from '../../src/restore/context.ts';
import { checkOtherDatabases } from '../../src/restore/other-databases.ts';
import { snapshotSource } from '../../src/restore/snapshot-source.ts';
import type { RestoreSource } from '../../src/restore/source.ts';
import { serverPrograms } from '../postgres-majors.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

const run = promisify(execFile);

let lab: Lab;
/** An older server for a bridge: the skew goes across servers. */
let elsewhere: LabPostgres;
let mas: PostgresTarget;
let config: Config;
let manifest: Manifest;
let source: RestoreSource;
let snapshotId: string;

async function sql(target: PostgresTarget, statement: string) {
  await using session = await connect(target, { applicationName: 'test' });
  return await session.query(statement);
}

beforeAll(async () => {
  lab = await startLab();
  const [home, away] = await Promise.all([
    lab.startServer('home'),
    lab.startServer('away'),
    startPostgres({ directory: join(lab.directory, 'elsewhere'), binDirectory: serverPrograms(14) }).then(
      (server) => (elsewhere = server),
    ),
  ]);
  await fillWorld(home, away, { users: 2, messages: 10, media: 2 });
  mas = await lab.postgres.createDatabase('mas', 'mas');
  const bridge = await elsewhere.createDatabase('mautrix_signal', 'bridge');
  await sql(
    mas,
    `CREATE TABLE users (user_id uuid PRIMARY KEY, username text NOT NULL UNIQUE);
     INSERT INTO users SELECT gen_random_uuid(), 'user ' || n FROM generate_series(1, 300) n;
     CREATE SCHEMA queue; CREATE TABLE queue.jobs (id bigserial PRIMARY KEY, what text NOT NULL);
     INSERT INTO queue.jobs (what) SELECT 'mail' FROM generate_series(1, 40)`,
  );
  await sql(bridge, `CREATE TABLE portal (mxid text PRIMARY KEY); INSERT INTO portal VALUES ('!a:home')`);
  const plain = await lab.configure(home);
  const at = { host: undefined, port: undefined };
  config = {
    ...plain,
    database: {
      ...plain.database,
      ignore: ['away'],
      also: [
        { ...at, name: 'mas', database: 'mas', user: mas.user, password: mas.password },
        {
          name: 'bridge-signal',
          database: bridge.database,
          host: bridge.host,
          port: bridge.port,
          user: bridge.user,
          password: bridge.password,
        },
      ],
    },
  };
  const { outcome, repository } = await lab.backUp(config);
  snapshotId = outcome.commit.entry.id;
  manifest = await repository.manifest(snapshotId);
  source = await snapshotSource(repository, snapshotId);
}, 180_000);

afterAll(async () => {
  await elsewhere.stop();
  await lab[Symbol.asyncDispose]();
});

describe('a backup with databases of other services', () => {
  it('has all of them in one snapshot, with their instants and how far apart these can be', () => {
    expect(manifest.databases?.map(({ label, name }) => [label, name])).toEqual([
      ['mas', 'mas'],
      ['bridge-signal', 'mautrix_signal'],
    ]);
    const all = [manifest.database, ...manifest.databases!];
    expect(manifest.skewMs).toBeGreaterThanOrEqual(0);
    for (const { walPosition } of all) expect(walPosition).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
    const instants = all.slice(0, 2).map(({ snapshotAt }) => Date.parse(snapshotAt));
    // Of one server, whose clock says both.
    expect(Math.abs(instants[0]! - instants[1]!)).toBeLessThanOrEqual(manifest.skewMs! + 1);
    expect(manifest.databases![0]!.invariants.tableRows).toEqual({ 'public.users': 300, 'queue.jobs': 40 });
  });

  it('warns of a database of the cluster that nobody has decided about, until it is ignored', async () => {
    await lab.postgres.createDatabase('nextcloud', 'nextcloud');
    const { warnings, otherDatabases } = await planBackup(config);
    expect(warnings.filter((text) => text.startsWith('database '))).toEqual([
      expect.stringMatching(/^database nextcloud .*database\.also.*database\.ignore$/),
    ]);
    expect(otherDatabases.map(({ label }) => label)).toEqual(['mas', 'bridge-signal']);
    const ignoring = { ...config, database: { ...config.database, ignore: ['away', 'nextcloud'] } };
    expect((await planBackup(ignoring)).warnings.filter((text) => text.startsWith('database '))).toEqual([]);
  });

  it('is refused as a whole when one of them cannot be read', async () => {
    const missing = { ...config.database.also[0]!, name: 'gone', database: 'not_there' };
    const broken = { ...config, database: { ...config.database, also: [...config.database.also, missing] } };
    await expect(lab.backUp(broken)).rejects.toMatchObject({ code: 'database-unreachable' });
    const { repository } = await lab.backUp(config);
    expect(await repository.snapshots()).toHaveLength(2);
  });

  it('leaves no connection open when one of the snapshots cannot be taken', async () => {
    const nowhere = { ...mas, database: 'not_there' };
    await expect(openSnapshotsTogether([mas, nowhere, mas], 'lost')).rejects.toThrow(/not_there/);
    const left = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'lifeboat:lost:snapshot'`;
    expect(await sql(lab.postgres.target, left)).toEqual([]);
  });
});

it('a drill brings each back under its own name, and compares every table, in every schema', async () => {
  const report = await drill({
    source,
    program: PYTHON,
    settings: {
      peer: false,
      timeoutMs: 300_000,
      workDirectory: lab.directory,
      postgresDirectory: undefined,
    },
    clientDirectory: undefined,
    keep: false,
    clock: systemClock,
    progress: silent,
  });
  const checks = report.steps.flatMap((step) => step.checks);
  expect(checks.filter(({ result }) => result === 'fail')).toEqual([]);
  expect(checks.filter(({ id }) => id.startsWith('databases.'))).toMatchObject([
    { id: 'databases.mas', result: 'pass', title: expect.stringContaining('rows of 2 tables') },
    { id: 'databases.bridge-signal', result: 'pass', observed: '0 differences' },
  ]);
}, 180_000);

describe('a restore', () => {
  it('puts those that are named into empty databases, and says which are not restored', async () => {
    const target = await lab.postgres.createDatabase('new_home', 'new_home');
    const newMas = await lab.postgres.createDatabase('new_mas', 'new_mas');
    const others = new Map([['mas', newMas]]);
    const options = {
      source,
      database: target,
      program: PYTHON,
      clientDirectory: undefined,
      clock: systemClock,
      progress: silent,
    };
    const full = new Map([['mas', mas]]);
    const directory = join(lab.directory, 'restored');
    await mkdir(directory);
    await expect(restore({ ...options, directory, others: full })).rejects.toMatchObject({
      code: 'target-not-empty',
    });
    await expect(
      restore({ ...options, directory, others: new Map([['mass', newMas]]) }),
    ).rejects.toMatchObject({
      code: 'usage',
      hints: ['It has: mas, bridge-signal.'],
    });
    const { result, steps } = await restore({ ...options, directory, others });
    expect(result).toBe('PASS');
    const found = steps[0]!.checks.filter(({ id }) => id.startsWith('databases.'));
    expect(found.map(({ id, result: one }) => [id, one])).toEqual([
      ['databases.mas', 'pass'],
      ['databases.bridge-signal', 'warn'],
    ]);

    await sql(
      newMas,
      `DELETE FROM queue.jobs WHERE id = 7; ALTER TABLE users DROP CONSTRAINT users_username_key`,
    );
    const context = { source, target: { database: target, others }, found: {} } as unknown as RestoreContext;
    const [damaged] = await Array.fromAsync(checkOtherDatabases(context));
    expect(damaged).toMatchObject({
      result: 'fail',
      detail: [
        'rows queue.jobs: expected 40 rows, observed 39 rows',
        'index public.users_username_key: expected present, observed missing',
        'constraint public.users.users_username_key: expected present, observed missing',
      ],
    });
  }, 120_000);

  it('by --only database and by recover.sh writes the dump of each, which pg_restore reads', async () => {
    const directory = join(lab.directory, 'dumps');
    const { ok, written } = await restorePart({ source, part: 'database', directory, progress: silent });
    expect(ok).toBe(true);
    expect(written).toContain(join(directory, 'mas', 'mas.dump'));
    const byHand = join(lab.directory, 'by-hand');
    const script = join(config.repository.path, 'recover.sh');
    await run('sh', [script, config.repository.identityFile!, snapshotId, byHand], { cwd: tmpdir() });
    for (const dump of ['mas/mas.dump', 'bridge-signal/bridge-signal.dump'])
      await run('cmp', [join(directory, dump), join(byHand, 'database', dump)]);
  });
});
