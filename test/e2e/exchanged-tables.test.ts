import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.ts';
import { connect, createDatabase, newestClient, openSnapshot } from '../../src/database/index.ts';
import type { PostgresSession, PostgresTarget } from '../../src/database/port.ts';
import type { Homeserver, Inventory } from '../../src/homeserver/port.ts';
import { backUpDatabase } from '../../src/jobs/backup-database.ts';
import { backUpOtherDatabases } from '../../src/jobs/backup-other-databases.ts';
import { captureInstant, Setbacks } from '../../src/jobs/instant.ts';
import { silent } from '../../src/observe/index.ts';
import { startTestServer, type TestServer } from '../database/postgres.ts';
import type { BackupWriter } from '../../src/repository/port.ts';
import { makeRepository, type Fixture } from '../repository/fixture.ts';

let server: TestServer;
let fixture: Fixture;
let main: PostgresTarget;
let other: PostgresTarget;

beforeAll(async () => {
  [server, fixture] = await Promise.all([startTestServer(), makeRepository()]);
  for (const name of ['main', 'other']) await createDatabase(server.admin, name, 'admin');
  [main, other] = [
    { ...server.admin, database: 'main' },
    { ...server.admin, database: 'other' },
  ];
}, 60_000);

afterAll(async () => {
  await server.stop();
  await fixture[Symbol.asyncDispose]();
});

beforeEach(async () => {
  for (const target of [main, other]) {
    await using session = await connect(target, { applicationName: 'test' });
    await session.query(`DROP TABLE IF EXISTS kept, changed;
      CREATE TABLE kept AS SELECT n FROM generate_series(1, 20) n;
      CREATE TABLE changed AS SELECT n FROM generate_series(1, 30) n`);
  }
});

/** Of which nothing is known but its tables. */
const KIND = {
  excludedTableData: [],
  facts: () => Promise.resolve({ facts: {}, digests: {}, newestEventTs: null }),
} as unknown as Homeserver;

/** Backs up both databases; `meanwhile` comes between the first snapshots and whatever is read in them. */
async function backUpBoth(meanwhile: () => Promise<unknown>) {
  const also = [{ name: 'other', database: 'other' }];
  const config = { database: { lanes: 2, also } } as unknown as Config;
  const writer = await (await fixture.open()).startBackup();
  let first = true;
  await using captured = await captureInstant(
    {
      target: main,
      others: [other],
      runId: writer.snapshotId.slice(0, 8),
      patience: { yieldAfterMs: 60_000, lockTimeoutMs: 60_000 },
      setbacks: new Setbacks(),
      progress: silent,
    },
    async (attempt) => {
      if (first) await meanwhile();
      first = false;
      const others = await backUpOtherDatabases(attempt, main, { writer, config, progress: silent });
      const source = { kind: KIND, inventory: {} as Inventory, database: main };
      const homeserver = await backUpDatabase(source, attempt, writer, { config, progress: silent });
      return { homeserver: homeserver.invariants.tableRows, other: others[0]!.invariants.tableRows };
    },
  );
  await writer.abort();
  return { setbacks: captured.capture.setbacks, ...captured.value };
}

const SEEN = {
  homeserver: expect.objectContaining({ kept: 20, changed: 30 }),
  other: { 'public.kept': 20, 'public.changed': 30 },
};

async function sql(target: PostgresTarget, statement: string): Promise<void> {
  await using session = await connect(target, { applicationName: 'test' });
  await session.query(statement);
}

describe.each([
  ['the homeserver', () => main],
  ['another service', () => other],
])('the database of %s', (_whose, target) => {
  it('is dumped from a new snapshot when a table was rewritten after the first, which sees it empty', async () => {
    const rewrite = () => sql(target(), 'ALTER TABLE changed ALTER COLUMN n TYPE bigint');
    expect(await backUpBoth(rewrite)).toEqual({ setbacks: ['schema'], ...SEEN });
  });

  it('is dumped from a new snapshot when a table was emptied and filled again after the first', async () => {
    const refill = () => sql(target(), 'TRUNCATE changed; INSERT INTO changed SELECT generate_series(1, 30)');
    expect(await backUpBoth(refill)).toEqual({ setbacks: ['schema'], ...SEEN });
  });

  it('is dumped from a new snapshot when the dump waited for the rewrite of a table', async () => {
    let migration: PostgresSession | undefined;
    const hold = async () => {
      const session = (migration = await connect(target(), { applicationName: 'migration' }));
      await session.query('BEGIN; ALTER TABLE changed ALTER COLUMN n TYPE bigint');
      void untilWaited(target()).then(() => session.query('COMMIT'));
    };
    expect(await backUpBoth(hold)).toEqual({ setbacks: ['schema'], ...SEEN });
    await migration?.close();
  });
});

it('a table that was only written to, or that is new, is no reason to begin again', async () => {
  const write = () => sql(main, 'INSERT INTO changed VALUES (31); CREATE TABLE IF NOT EXISTS late ()');
  expect(await backUpBoth(write)).toEqual({ setbacks: [], ...SEEN });
});

it('the dump of another service’s database leaves no pg_dump behind when it cannot be stored', async () => {
  await sql(other, `CREATE TABLE large AS SELECT repeat(md5(n::text), 40) FROM generate_series(1, 20000) n`);
  const also = [{ name: 'other', database: 'other' }];
  // Takes its time to end.
  const clientDirectory = join(fixture.directory, 'slow-client');
  await mkdir(clientDirectory);
  const { path } = await newestClient('pg_dump');
  const slow = `#!/bin/sh\ntrap '' TERM\ncase "$*" in *--version*) exec ${path} --version;; esac\n${path} "$@"\nsleep 2\n`;
  await writeFile(join(clientDirectory, 'pg_dump'), slow, { mode: 0o755 });
  const config = { database: { also, clientDirectory } } as unknown as Config;
  const full = {
    snapshotId: 'full1234',
    addStream: async (stream: Readable) => {
      await once(stream, 'readable');
      stream.destroy();
      throw new Error('the disk is full');
    },
  } as unknown as BackupWriter;
  await using snapshot = await openSnapshot(other, 'full');
  const attempt = {
    snapshot,
    others: [snapshot],
    walPositions: ['', ''],
    skewMs: 0,
    lockWaitMs: 5000,
    signal: new AbortController().signal,
  };
  const failing = backUpOtherDatabases(attempt, main, { writer: full, config, progress: silent });
  await expect(failing).rejects.toThrow('the disk is full');
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  expect(commands.filter((command) => command.includes(snapshot.snapshotId))).toEqual([]);
});

/** Until somebody waits for a table. */
async function untilWaited(target: PostgresTarget): Promise<void> {
  await using session = await connect(target, { applicationName: 'test' });
  while (
    (await session.query(`SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'`)).length === 0
  )
    await setTimeout(20);
}
