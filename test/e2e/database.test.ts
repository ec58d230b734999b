import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import {
  assertEmpty,
  clientEnvironment,
  compareInvariants,
  connect,
  createDatabase,
  databaseInfo,
  dumpDatabase,
  measureInvariants,
  newestClient,
  openSnapshot,
  pgListArgv,
  pgRestoreArgv,
  requireHarmlessContents,
  tableDigest,
  withPasswordFile,
} from '../../src/database/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import { runCommand } from '../../src/exec/index.ts';
import { startTestServer, type TestServer } from '../database/postgres.ts';

let server: TestServer;
let source: PostgresTarget;

beforeAll(async () => {
  server = await startTestServer();
  source = await newDatabase('source');
  await using session = await connect(source, { applicationName: 'test' });
  await session.query(`
    CREATE TABLE events (stream_ordering bigserial PRIMARY KEY, event_id text UNIQUE, body text);
    CREATE TABLE e2e_one_time_keys_json (key_id text);
    INSERT INTO events (event_id, body) SELECT '$' || n, 'message ' || n FROM generate_series(1, 20000) n;
    INSERT INTO e2e_one_time_keys_json VALUES ('one'), ('two');`);
}, 60_000);

afterAll(() => server.stop());

async function newDatabase(name: string): Promise<PostgresTarget> {
  await createDatabase(server.admin, name, 'admin');
  return { ...server.admin, database: name };
}

const WHOLE = {
  name: 'all',
  section: undefined,
  only: undefined,
  without: [{ schema: 'public', name: 'e2e_one_time_keys_json' }],
};
const OPTIONS = { serverVersion: '15.0', part: WHOLE, runId: 'test' };

async function dump(options: Partial<Parameters<typeof dumpDatabase>[1]> = {}): Promise<Buffer> {
  await using snapshot = await openSnapshot(source, 'test');
  const { stream } = await dumpDatabase(source, { ...OPTIONS, snapshotId: snapshot.snapshotId, ...options });
  return await buffer(stream);
}

/** Begins an archive of a format that is not invented yet, so that nothing in it is looked at. */
const NEWER = String.raw`printf 'PGDMP\001\143\000'`;

async function fakeClient(name: string, body: string): Promise<string> {
  const directory = join(server.directory, name);
  await mkdir(directory);
  const version = 'if [ "$1" = --version ]; then echo "pg_dump (PostgreSQL) 15.18"; exit; fi';
  await writeFile(join(directory, 'pg_dump'), `#!/bin/sh\n${version}\n${body}\n`);
  await chmod(join(directory, 'pg_dump'), 0o755);
  await chmod(server.directory, 0o755);
  return directory;
}

describe('connecting', () => {
  it('tells a wrong password from a missing database and from a server that is not there', async () => {
    const options = { applicationName: 'test' };
    await expect(
      connect({ ...source, password: new Secret('not the password') }, options),
    ).rejects.toMatchObject({ code: 'database-denied' });
    await expect(connect({ ...source, user: 'nobody' }, options)).rejects.toMatchObject({
      code: 'database-denied',
    });
    await expect(connect({ ...source, database: 'nowhere' }, options)).rejects.toThrow(
      /there is no database nowhere/,
    );
    await expect(connect({ ...source, port: 1 }, options)).rejects.toMatchObject({
      code: 'database-unreachable',
      transient: true,
    });
  });

  it('reads bigint as a number where it is safe and as text where it is not', async () => {
    await using session = await connect(source, { applicationName: 'test' });
    const [row] = await session.query('SELECT 5::bigint AS small, 9007199254740993::bigint AS big');
    expect(row).toEqual({ small: 5, big: '9007199254740993' });
  });

  it('is not bound by the time-outs of its role', async () => {
    await using admin = await connect(source, { applicationName: 'test' });
    await admin.query(`CREATE ROLE hurried LOGIN PASSWORD 'hurried-1'; ALTER ROLE hurried SET statement_timeout = '50ms';
      ALTER ROLE hurried SET idle_in_transaction_session_timeout = '50ms'; ALTER ROLE hurried SET idle_session_timeout = '50ms'`);
    const hurried = { ...source, user: 'hurried', password: new Secret('hurried-1') };
    await using session = await connect(hurried, { applicationName: 'test' });
    await session.query('BEGIN; SELECT pg_sleep(0.2)');
    await setTimeout(200);
    expect(await session.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('streams more rows than one batch', async () => {
    await using session = await connect(source, { applicationName: 'test' });
    let sum = 0;
    for await (const row of session.stream<{ n: number }>('SELECT n FROM generate_series(1, 12345) n'))
      sum += row.n;
    expect(sum).toBe((12345 * 12346) / 2);
  });
});

describe('a dump', () => {
  it('shows the instant of its snapshot, restores equal, and leaves out excluded rows', async () => {
    await using snapshot = await openSnapshot(source, 'test');
    const before = await measureInvariants(snapshot.session);
    const digest = await tableDigest(snapshot.session, 'events', ['event_id', 'body']);
    await using other = await connect(source, { applicationName: 'test' });
    await other.query(`INSERT INTO events (event_id, body) VALUES ('$late', 'too late')`);
    const { stream } = await dumpDatabase(source, { ...OPTIONS, snapshotId: snapshot.snapshotId });
    const file = join(server.directory, 'good.dump');
    await writeFile(file, await buffer(stream));
    await other.query(`DELETE FROM events WHERE event_id = '$late'`);

    const target = await newDatabase('target');
    const pgRestore = (await newestClient('pg_restore')).path;
    const listing = await runCommand(pgListArgv(pgRestore, file), { check: true });
    requireHarmlessContents(listing.stdout, file);
    const restored = await withPasswordFile(target, (env) =>
      runCommand(pgRestoreArgv(pgRestore, target.database, { file, jobs: 2 }), {
        env: { ...clientEnvironment(target, 'test'), ...env },
      }),
    );
    expect(restored).toMatchObject({ exitCode: 0, stderr: '' });

    await using session = await connect(target, { applicationName: 'test' });
    const after = await measureInvariants(session);
    expect(after.tableRows).toEqual({ events: 20_000, e2e_one_time_keys_json: 0 });
    expect(compareInvariants(before, after, { withoutRows: ['e2e_one_time_keys_json'] })).toEqual([]);
    expect(await tableDigest(session, 'events', ['event_id', 'body'])).toBe(digest);
    await session.query(`UPDATE events SET body = 'changed' WHERE event_id = '$77'`);
    expect(await tableDigest(session, 'events', ['event_id', 'body'])).not.toBe(digest);
    expect(await databaseInfo(session)).toMatchObject({
      encoding: 'UTF8',
      collate: 'C',
      ctype: 'C',
      owner: 'admin',
    });
    await expect(assertEmpty(session, target)).rejects.toThrow(/public\.events/);
  });

  it('fails its stream when pg_dump is killed in the middle', async () => {
    const clientDirectory = await fakeClient('killed', `${NEWER}; head -c 300000 /dev/zero; kill -9 $$`);
    await expect(dump({ clientDirectory })).rejects.toMatchObject({ code: 'database-dump-failed' });
  });

  it('fails its stream when pg_dump exits with 1 after full output', async () => {
    const clientDirectory = await fakeClient(
      'exit-1',
      `${NEWER}; head -c 300000 /dev/zero; echo "pg_dump: error: disk quota" >&2; exit 1`,
    );
    await expect(dump({ clientDirectory })).rejects.toThrow(/disk quota/);
  });

  it('refuses short or foreign output although pg_dump says that all is well', async () => {
    await expect(dump({ clientDirectory: await fakeClient('silent', 'exit 0') })).rejects.toMatchObject({
      code: 'database-dump-failed',
    });
    await expect(dump({ clientDirectory: await fakeClient('short', 'printf PGDMP') })).rejects.toMatchObject({
      code: 'database-dump-failed',
    });
    const foreign = await fakeClient('foreign', 'head -c 5000 /dev/zero');
    await expect(dump({ clientDirectory: foreign })).rejects.toThrow(/not a custom-format archive/);
  });

  it('refuses a dump that is cut although pg_dump says that all is well', async () => {
    const real = (await newestClient('pg_dump')).path;
    for (const length of [100, 2000, 500_000]) {
      const clientDirectory = await fakeClient(`cut-${length}`, `${real} "$@" | head -c ${length}; exit 0`);
      await expect(dump({ clientDirectory })).rejects.toThrow(/the archive is cut/);
    }
  });

  it('refuses a pg_dump that is older than the server, naming the way out', async () => {
    const clientDirectory = await fakeClient('old', 'exit 0');
    await expect(dump({ clientDirectory, serverVersion: '17.6' })).rejects.toMatchObject({
      code: 'database-client-old',
      hints: [expect.stringContaining('postgresql-client-17')],
    });
  });

  it('fails its stream when the run is interrupted', async () => {
    const abort = new AbortController();
    const clientDirectory = await fakeClient('endless', `${NEWER}; exec cat /dev/zero`);
    const { stream } = await dumpDatabase(source, {
      ...OPTIONS,
      snapshotId: '0-0-1',
      clientDirectory,
      signal: abort.signal,
    });
    stream.once('data', () => abort.abort());
    await expect(stream.resume().toArray()).rejects.toMatchObject({ code: 'interrupted' });
  });

  it('gives up on a table that somebody holds exclusively, and names it', async () => {
    await using holder = await connect(source, { applicationName: 'test' });
    await holder.query('BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE');
    await expect(dump({ lockWaitMs: 1000 })).rejects.toThrow(/LOCK TABLE.*events/);
    await holder.query('ROLLBACK');
  });

  it('shows no password in any command line, and leaves no password file', async () => {
    const marker = join(server.directory, 'running');
    const clientDirectory = await fakeClient(
      'looked-at',
      `stat -c '%a %n' "$PGPASSFILE" > ${marker}.tmp; mv ${marker}.tmp ${marker}; while [ -e ${marker} ]; do sleep 0.05; done; exit 1`,
    );
    const dumping = dump({ clientDirectory }).catch(String);
    const [mode, passwordFile] = (await whenThere(marker)).trim().split(' ');
    const commandLines = await allCommandLines();
    await rm(marker);
    const password = source.password!.reveal();
    expect(commandLines).toContain(join(clientDirectory, 'pg_dump'));
    expect(commandLines).not.toContain(password);
    expect(await dumping).not.toContain(password);
    expect(mode).toBe('600');
    await expect(readFile(passwordFile!)).rejects.toThrow('ENOENT');
  });
});

async function whenThere(path: string): Promise<string> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
    await setTimeout(20);
  }
}

async function allCommandLines(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.join('\n');
}

describe('restoring', () => {
  it('says what pg_restore says when the archive is cut', async () => {
    const file = join(server.directory, 'cut.dump');
    await writeFile(file, (await dump()).subarray(0, 200_000));
    const target = await newDatabase('cut');
    const pgRestore = (await newestClient('pg_restore')).path;
    // Listing a cut archive succeeds: it proves nothing.
    expect(await runCommand(pgListArgv(pgRestore, file))).toMatchObject({ exitCode: 0 });
    const result = await withPasswordFile(target, (env) =>
      runCommand(pgRestoreArgv(pgRestore, target.database, { file, jobs: 1 }), {
        env: { ...clientEnvironment(target, 'test'), ...env },
      }),
    );
    expect(result.exitCode).not.toBe(0);
    expect(result.stderr).toMatch(/could not read from input file/);
  });
});
