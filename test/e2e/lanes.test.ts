import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { LifeboatError } from '../../src/core/errors.ts';
import {
  compareInvariants,
  connect,
  createDatabase,
  lockTables,
  measureInvariants,
  newestClient,
  openSnapshot,
  pgListArgv,
  planDump,
  sequenceValues,
  tableSizes,
  type DumpPlan,
} from '../../src/database/index.ts';
import type { PostgresSession, PostgresTarget } from '../../src/database/port.ts';
import type { EnvironmentCommand } from '../../src/environment/port.ts';
import { runCommand } from '../../src/exec/index.ts';
import { dumpInLanes, type DumpedDatabase } from '../../src/jobs/dump-lanes.ts';
import { silent, type ProgressEvent } from '../../src/observe/index.ts';
import type { DatabaseDumpFile } from '../../src/repository/manifest.ts';
import type { BackupWriter, Repository } from '../../src/repository/port.ts';
import type { RestoreContext } from '../../src/restore/context.ts';
import { loadDumps } from '../../src/restore/load-dumps.ts';
import { startTestServer, type TestServer } from '../database/postgres.ts';
import { makeRepository, sampleSource, writeSource, type Fixture } from '../repository/fixture.ts';

/** Tables, rows: names that patterns of pg_dump, shells and file names could misread. */
const STRANGE: Readonly<Record<string, number>> = {
  'public."Strange.Name *?|(x)$""\\"': 4000,
  '"Other ""Schema"."Case.d"': 3000,
  'public.plain': 2500,
  'public."Plain"': 1500,
};
const ROWS: Readonly<Record<string, number>> = {
  ...STRANGE,
  'ONLY public.parted_1': 600,
  'ONLY public.parted_2': 600,
  'ONLY public.parent': 50,
  'ONLY public.child': 700,
  'public.numbered': 10,
  'public.with_view': 40,
  'public.view_of_it': 40,
  'public.e2e_one_time_keys_json': 0,
};

let server: TestServer;
let fixture: Fixture;
let source: PostgresTarget;

beforeAll(async () => {
  server = await startTestServer();
  fixture = await makeRepository();
  source = await newDatabase('source');
  await using session = await connect(source, { applicationName: 'test' });
  await session.query('CREATE SCHEMA "Other ""Schema"');
  for (const [table, rows] of Object.entries(STRANGE))
    await session.query(
      `CREATE TABLE ${table} (id bigserial PRIMARY KEY, body text);
       INSERT INTO ${table} (body) SELECT (SELECT string_agg(md5(n || '.' || m), '') FROM generate_series(1, 20) m) FROM generate_series(1, ${rows}) n`,
    );
  await session.query(`
    CREATE TABLE parted (id bigint, body text) PARTITION BY RANGE (id);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (601);
    CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (601) TO (2000);
    INSERT INTO parted SELECT n, repeat('p', 500) FROM generate_series(1, 1200) n;
    CREATE TABLE parent (id bigint, body text);
    CREATE TABLE child (extra text) INHERITS (parent);
    INSERT INTO parent SELECT n, 'parent' FROM generate_series(1, 50) n;
    INSERT INTO child SELECT n, repeat('c', 500), 'x' FROM generate_series(1, 700) n;
    CREATE TABLE numbered (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, plain bigint REFERENCES plain (id));
    INSERT INTO numbered (plain) SELECT n FROM generate_series(1, 10) n;
    CREATE SEQUENCE alone; SELECT setval('alone', 4711);
    CREATE TABLE with_view AS SELECT n FROM generate_series(1, 40) n;
    CREATE MATERIALIZED VIEW view_of_it AS SELECT n * 2 AS double FROM with_view;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no new rows'; END $$;
    CREATE TRIGGER no_more BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TABLE e2e_one_time_keys_json (key_id text); INSERT INTO e2e_one_time_keys_json VALUES ('one');`);
}, 60_000);

afterAll(async () => {
  await server.stop();
  await fixture[Symbol.asyncDispose]();
});

async function newDatabase(name: string): Promise<PostgresTarget> {
  await createDatabase(server.admin, name, 'admin');
  return { ...server.admin, database: name };
}

interface Dumping {
  readonly clientDirectory?: string;
  readonly events?: ProgressEvent[];
  readonly meanwhile?: (plan: DumpPlan) => Promise<void>;
  readonly lanes?: number;
}

async function dumpAll(
  writer: BackupWriter,
  { clientDirectory, events, meanwhile, lanes = 3 }: Dumping = {},
) {
  await using snapshot = await openSnapshot(source, 'test');
  const { session } = snapshot;
  await lockTables(session);
  const sequences = await sequenceValues(session);
  const excluded = [{ schema: 'public', name: 'e2e_one_time_keys_json' }];
  const plan = planDump(await tableSizes(session), { lanes, excluded, smallBytes: 0 });
  await meanwhile?.(plan);
  const stop = new AbortController();
  const dumped = await dumpInLanes({
    target: source,
    plan,
    snapshotId: snapshot.snapshotId,
    serverVersion: '15.0',
    clientDirectory,
    runId: 'lanes',
    writer,
    progress: (event) => void events?.push(event),
    signal: stop.signal,
    stop: () => stop.abort(),
  });
  return { dumped, before: { ...(await measureInvariants(session)), sequences } };
}

function contextFor(
  target: PostgresTarget,
  dumps: readonly DatabaseDumpFile[],
  repository: Repository,
  directory: string,
): RestoreContext {
  return {
    source: { dumps: () => dumps.map((dump) => ({ ...dump, open: () => repository.read(dump.content) })) },
    target: { database: target, directory, sealed: false, clientDirectory: undefined },
    clock: systemClock,
    progress: silent,
    allowCode: true,
    exec: ({ argv, env }: EnvironmentCommand) => runCommand(argv, { env }),
    handOver: () => Promise.resolve(),
  } as unknown as RestoreContext;
}

async function countOf(session: PostgresSession, table: string): Promise<number> {
  const [row] = await session.query<{ rows: number }>(`SELECT count(*) AS rows FROM ${table}`);
  return row!.rows;
}

async function directoryFor(name: string): Promise<string> {
  const directory = join(fixture.directory, name);
  await mkdir(directory);
  return directory;
}

describe('a database dumped in lanes', () => {
  let dumped: DumpedDatabase;
  let before: Awaited<ReturnType<typeof dumpAll>>['before'];
  let repository: Repository;
  const events: ProgressEvent[] = [];

  beforeAll(async () => {
    repository = await fixture.open();
    const writer = await repository.startBackup();
    ({ dumped, before } = await dumpAll(writer, {
      events,
      // After the snapshot, before the first lane: nothing of it may be in any of them.
      meanwhile: async () => {
        await using other = await connect(source, { applicationName: 'test' });
        for (const table of Object.keys(STRANGE))
          await other.query(`INSERT INTO ${table} (body) VALUES ('late')`);
      },
    }));
    const parts = await writeSource(writer, sampleSource('lanes'));
    const { entry } = await writer.commit({ ...parts, database: { ...parts.database, dumps: dumped.dumps } });
    // What stands in the manifest is what was dumped; it tells the reader where all blobs are.
    expect((await repository.manifest(entry.id)).database.dumps).toEqual(dumped.dumps);
  }, 60_000);

  it('has the rows of every table in exactly one archive, and its name beside it', async () => {
    const directory = await directoryFor('listed');
    const pgRestore = (await newestClient('pg_restore')).path;
    const found: string[] = [];
    for (const { name, content } of dumped.dumps) {
      const file = join(directory, name);
      await writeFile(file, repository.read(content));
      const { stdout } = await runCommand(pgListArgv(pgRestore, file), { check: true });
      found.push(...stdout.split('\n').flatMap((line) => /TABLE DATA (.*) admin$/.exec(line)?.[1] ?? []));
    }
    expect(found.toSorted()).toEqual([...new Set(found)].toSorted());
    expect(found).toHaveLength(Object.keys(ROWS).length - 2);
    const alone = dumped.dumps.flatMap(({ tables = [] }) => tables);
    expect(alone).toContain('"public"."Strange.Name *?|(x)$""\\"');
    expect(alone).toContain('"Other ""Schema"."Case.d"');
    expect(dumped.dumps.map(({ section }) => section)).toEqual([
      'pre-data',
      ...Array.from({ length: dumped.dumps.length - 2 }, () => 'data'),
      'post-data',
    ]);
    expect(dumped.dumps.map(({ name }) => name)).toEqual(dumped.dumps.map(({ name }) => name).toSorted());
  });

  it('shows one instant, whenever a lane began, and restores equal with lanes beside each other', async () => {
    const target = await newDatabase('target');
    await loadDumps(contextFor(target, dumped.dumps, repository, await directoryFor('restored')));
    await using session = await connect(target, { applicationName: 'test' });
    for (const [table, rows] of Object.entries(ROWS)) expect(await countOf(session, table), table).toBe(rows);
    const withoutRows = ['e2e_one_time_keys_json'];
    expect(compareInvariants(before, await measureInvariants(session), { withoutRows })).toEqual([]);
    // Of a column GENERATED AS IDENTITY, which pg_dump leaves out together with its table, and of nobody.
    expect(await session.query(`SELECT nextval(pg_get_serial_sequence('numbered', 'id')) AS id`)).toEqual([
      { id: 11 },
    ]);
    expect(await session.query(`SELECT nextval('alone') AS id`)).toEqual([{ id: 4712 }]);
    expect(await readdir(join(fixture.directory, 'restored'))).toEqual([]);
  });

  it('stores next to nothing anew when tables come to lie in other archives', async () => {
    const writer = await (await fixture.open()).startBackup();
    const { dumped: single } = await dumpAll(writer, { lanes: 1 });
    expect(single.dumps).toMatchObject([{ name: 'source.dump' }]);
    const parts = await writeSource(writer, sampleSource('lanes'));
    const { newBlobs, reusedBlobs } = await writer.commit({
      ...parts,
      database: { ...parts.database, dumps: single.dumps },
    });
    // Where one table ends and the next begins, and the late rows.
    expect(newBlobs).toBeLessThan(2 * Object.keys(ROWS).length + 5);
    expect(reusedBlobs).toBeGreaterThan(2 * newBlobs);
  });

  it('tells the bytes of each lane, up to all of them', () => {
    const last = new Map(events.map((event) => [event.lane, event]));
    expect([...last.keys()]).toEqual(
      expect.arrayContaining(['pre-data', 'plain', 'all other tables', 'post-data']),
    );
    for (const { done, total, unit } of last.values()) expect([done, unit]).toEqual([total, 'bytes']);
  });

  it('is not loaded by a lane that holds something that no homeserver’s dump has', async () => {
    const directory = await directoryFor('strange');
    await using session = await connect(source, { applicationName: 'test' });
    await session.query(`CREATE FUNCTION snoop() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
      CREATE EVENT TRIGGER snoop ON ddl_command_start EXECUTE FUNCTION snoop()`);
    const hostile = join(directory, 'hostile.dump');
    const { path } = await newestClient('pg_dump');
    const env = {
      PGHOST: source.host,
      PGPORT: String(source.port),
      PGUSER: source.user,
      PGPASSWORD: source.password!.reveal(),
    };
    await runCommand([path, '--format=custom', '--compress=0', `--file=${hostile}`, source.database], {
      env,
      check: true,
    });
    await session.query('DROP EVENT TRIGGER snoop; DROP FUNCTION snoop');
    const target = await newDatabase('strange');
    const bytes = await readFile(hostile);
    const context = contextFor(target, [], repository, directory);
    const lane = {
      name: 'hostile-2-data-01.dump',
      section: 'data' as const,
      open: () => Readable.from([bytes]),
    };
    await expect(
      loadDumps({ ...context, source: { ...context.source, dumps: () => [lane] } }),
    ).rejects.toMatchObject({ code: 'archive-unsafe', message: expect.stringContaining('EVENT TRIGGER') });
    await using restored = await connect(target, { applicationName: 'test' });
    expect(await restored.query(`SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace`)).toEqual(
      [],
    );
  });

  it('is not loaded when the content of a lane ends early or turns out damaged', async () => {
    const target = await newDatabase('cut');
    const [pre, ...others] = dumped.dumps;
    const lane = others.find(({ tables }) => tables?.[0] === '"public"."plain"')!;
    const whole = await repository.read(lane.content).toArray();
    const bytes = Buffer.concat(whole as Buffer[]);
    const context = contextFor(target, [pre!], repository, await directoryFor('cut'));
    const open = (rest: () => AsyncIterable<Buffer>) => ({
      ...context,
      source: {
        ...context.source,
        dumps: () => [
          ...context.source.dumps(),
          { name: 'cut', section: 'data' as const, open: () => Readable.from(rest()) },
        ],
      },
    });
    await expect(
      loadDumps(
        open(async function* () {
          yield bytes.subarray(0, bytes.length >> 1);
        }),
      ),
    ).rejects.toMatchObject({ code: 'database-restore-failed' });
    await using session = await connect(target, { applicationName: 'test' });
    await session.query('DROP SCHEMA public, "Other ""Schema" CASCADE; CREATE SCHEMA public');
    await expect(
      loadDumps(
        open(async function* () {
          yield bytes.subarray(0, bytes.length >> 1);
          throw new LifeboatError('repository-damaged', 'a blob is not what it was');
        }),
      ),
    ).rejects.toMatchObject({ code: 'repository-damaged' });
  });
});

describe('a lane that fails', () => {
  it('ends all others, and leaves neither a pg_dump nor a session of one', async () => {
    const { path } = await newestClient('pg_dump');
    const clientDirectory = join(server.directory, 'client');
    await mkdir(clientDirectory);
    // The lane of `plain` is killed in the middle of its output; the others never end by themselves.
    await writeFile(
      join(clientDirectory, 'pg_dump'),
      `#!/bin/sh
case "$*" in
  *--version*) exec ${path} --version;;
  *'--table="public"."plain"'*) sleep 1; ${path} "$@" | head -c 300000; kill -9 $$;;
  *--section=data*) ${path} "$@"; exec sleep 1000;;
esac
exec ${path} "$@"
`,
    );
    await chmod(join(clientDirectory, 'pg_dump'), 0o755);
    await chmod(server.directory, 0o755);
    const repository = await fixture.open();
    const snapshots = await repository.snapshots();
    const writer = await repository.startBackup();
    await expect(dumpAll(writer, { clientDirectory })).rejects.toMatchObject({
      code: 'database-dump-failed',
      message: expect.stringContaining('SIGKILL'),
    });
    await writer.abort();
    expect(await repository.snapshots()).toEqual(snapshots);
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const commands = await Promise.all(
      pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    );
    expect(commands.filter((command) => command.includes(clientDirectory))).toEqual([]);
    await using session = await connect(server.admin, { applicationName: 'test' });
    expect(
      await session.query(`SELECT FROM pg_stat_activity WHERE application_name LIKE 'lifeboat:lanes:dump%'`),
    ).toEqual([]);
  });
});
