import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageOf } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { connect, createDatabase, dumpDatabase, measureInvariants } from '../../src/database/index.ts';
import { requireWholeArchive } from '../../src/database/postgres/whole-archive.ts';
import type { PostgresSession, PostgresTarget } from '../../src/database/port.ts';
import { freePorts } from '../../src/demo/lab/index.ts';
import { runCommand } from '../../src/exec/index.ts';
import {
  captureInstant,
  Setbacks,
  type Attempt,
  type Instant,
  type Patience,
} from '../../src/jobs/instant.ts';
import { startTestServer, type TestServer } from '../database/postgres.ts';

const BIN = '/usr/lib/postgresql/15/bin';

let server: TestServer;
let source: PostgresTarget;
let other: PostgresSession;

beforeAll(async () => {
  server = await startTestServer();
  await createDatabase(server.admin, 'source', 'admin');
  source = { ...server.admin, database: 'source' };
  other = await connect(source, { applicationName: 'synapse' });
  await other.query(`
    CREATE TABLE events (stream_ordering bigserial PRIMARY KEY, event_id text UNIQUE, body text);
    CREATE TABLE hot (id int PRIMARY KEY, value int);
    ALTER TABLE hot SET (autovacuum_enabled = off);
    INSERT INTO events (event_id, body) SELECT '$' || n, repeat(md5(n::text), 20) FROM generate_series(1, 20000) n;
    INSERT INTO hot SELECT n, 0 FROM generate_series(1, 20000) n;
    SELECT lo_from_bytea(0, '\\x00ff');`);
}, 60_000);

afterAll(async () => {
  await other.close();
  await server.stop();
});

interface Captured extends Instant<Buffer> {
  readonly said: readonly string[];
}

/** Measures and dumps as a backup does; `meanwhile` may hold up the reader of the dump. */
async function capture(
  patience: Partial<Patience> = {},
  meanwhile: (attempt: Attempt, number: number) => Promise<unknown> = () => Promise.resolve(),
  target = source,
  slowUntil = 0,
): Promise<Captured> {
  const said: string[] = [];
  let number = 0;
  const instant = await captureInstant(
    {
      target,
      runId: 'test',
      patience: { yieldAfterMs: 60_000, lockTimeoutMs: 60_000, ...patience },
      setbacks: new Setbacks(),
      progress: ({ message }) => void said.push(message ?? ''),
    },
    async (attempt) => {
      number += 1;
      await attempt.snapshot.withoutLocks(measureInvariants);
      const dump = await dumpDatabase(target, {
        snapshotId: attempt.snapshot.snapshotId,
        serverVersion: '15.0',
        part: { name: 'all', section: undefined, only: undefined, without: [] },
        runId: 'test',
        lockWaitMs: attempt.lockWaitMs,
        signal: attempt.signal,
      });
      dump.stream.on('error', () => undefined);
      await once(dump.stream, 'readable');
      await meanwhile(attempt, number);
      if (number <= slowUntil) return await slowly(dump.stream);
      return await buffer(dump.stream);
    },
  );
  return { ...instant, said, [Symbol.asyncDispose]: () => instant[Symbol.asyncDispose]() };
}

/** A standby cancels a session at the next row that it sends: one that cannot send anything holds up the replay instead. */
async function slowly(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream as AsyncIterable<Buffer>) {
    pieces.push(piece);
    await setTimeout(50);
  }
  return Buffer.concat(pieces);
}

/** For ever, until we are ended. */
const stalled = ({ signal }: Attempt) => setTimeout(600_000, undefined, { signal });

/** Resolves when somebody waits for a lock. */
async function untilWaiting(pid: number): Promise<void> {
  await using session = await connect(source, { applicationName: 'test' });
  for (;;) {
    if ((await session.query('SELECT FROM pg_locks WHERE NOT granted AND pid = $1', [pid])).length > 0)
      return;
    await setTimeout(20);
  }
}

async function pidOf(session: PostgresSession): Promise<number> {
  return (await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'))[0]!.pid;
}

describe('a backup that is in the way of a schema change', () => {
  it('gives way, lets the change and the queries behind it go on, and then succeeds', async () => {
    await using reader = await connect(source, { applicationName: 'synapse' });
    const released: string[] = [];
    const waited: Promise<unknown>[] = [];
    await using captured = await capture({ yieldAfterMs: 1000 }, async (attempt, number) => {
      if (number > 1) return;
      const pid = await pidOf(other);
      waited.push(other.query('ALTER TABLE events ADD COLUMN more text').then(() => released.push('ALTER')));
      await untilWaiting(pid);
      waited.push(
        reader.query(`SELECT * FROM events WHERE event_id = '$77'`).then(() => released.push('SELECT')),
      );
      await stalled(attempt);
    });
    await Promise.all(waited);
    expect(released).toEqual(['ALTER', 'SELECT']);
    expect(captured.capture).toEqual({ source: 'primary', attempts: 2, setbacks: ['pile-up'] });
    expect(captured.said.join()).toMatch(/2 sessions waited 1\.\d s behind the backup for events/);
    expect(captured.value.includes('more')).toBe(true);
  });

  it('gives way for a role that may read everything and see nothing of other sessions', async () => {
    await other.query(`CREATE ROLE backup LOGIN PASSWORD 'backup-1' IN ROLE pg_read_all_data`);
    await other.query(
      `CREATE TABLE fast AS SELECT 1 AS one; SELECT lo_unlink(oid) FROM pg_largeobject_metadata`,
    );
    const target = { ...source, user: 'backup', password: new Secret('backup-1') };
    const waited: Promise<unknown>[] = [];
    await using captured = await capture(
      { yieldAfterMs: 500 },
      async (attempt, number) => {
        if (number > 1) return;
        waited.push(other.query('DROP TABLE fast'));
        await stalled(attempt);
      },
      target,
    );
    await Promise.all(waited);
    expect(captured.capture.setbacks).toEqual(['pile-up']);
  });

  it('gives way as one that was in the way, although a session of its run is another role’s, which it may see but not end', async () => {
    await other.query(
      `CREATE ROLE looker LOGIN PASSWORD 'looker-1' IN ROLE pg_read_all_data, pg_read_all_stats`,
    );
    await other.query(
      'CREATE TABLE looked_at AS SELECT 1 AS one; SELECT lo_unlink(oid) FROM pg_largeobject_metadata',
    );
    const target = { ...source, user: 'looker', password: new Secret('looker-1') };
    await using foreign = await connect(source, { applicationName: 'lifeboat:test:foreign' });
    const waited: Promise<unknown>[] = [];
    await using captured = await capture(
      { yieldAfterMs: 500 },
      async (attempt, number) => {
        if (number > 1) return;
        waited.push(other.query('DROP TABLE looked_at'));
        await stalled(attempt);
      },
      target,
    );
    await Promise.all(waited);
    expect(captured.capture.setbacks).toEqual(['pile-up']);
    expect(await foreign.query('SELECT 1 AS there')).toEqual([{ there: 1 }]);
  });

  it('gives way on another server, which a database beside the homeserver’s is on', async () => {
    const elsewhere = await startTestServer();
    await using ended = new AsyncDisposableStack();
    ended.defer(elsewhere.stop);
    await using migration = await connect(elsewhere.admin, { applicationName: 'mas' });
    await migration.query('CREATE TABLE users AS SELECT 1 AS one');
    const waited: Promise<unknown>[] = [];
    let first = true;
    await using captured = await captureInstant(
      {
        target: source,
        others: [elsewhere.admin],
        runId: 'test',
        patience: { yieldAfterMs: 500, lockTimeoutMs: 60_000 },
        setbacks: new Setbacks(),
        progress: () => undefined,
      },
      async ({ others: [snapshot], signal }) => {
        if (!first) return;
        first = false;
        await snapshot!.session.query('SELECT FROM users');
        waited.push(migration.query('ALTER TABLE users ADD COLUMN more text'));
        await setTimeout(5000, undefined, { signal });
      },
    );
    expect(captured.capture.setbacks).toEqual(['pile-up']);
    await Promise.all(waited);
  });

  it('does not give way to an index that is built beside it, behind which nobody waits', async () => {
    await using captured = await capture({ yieldAfterMs: 500 });
    const pid = await pidOf(other);
    const building = other.query('CREATE INDEX CONCURRENTLY by_value ON hot (value)');
    await untilWaiting(pid);
    await setTimeout(1500);
    expect(captured.signal.aborted).toBe(false);
    await captured.release();
    await building;
  });

  it('holds no lock once the dump is made', async () => {
    await using captured = await capture();
    await other.query('ALTER TABLE events DROP COLUMN IF EXISTS more');
    expect(captured.signal.aborted).toBe(false);
  });

  it('gives up after five times, telling who waited', async () => {
    const waited: Promise<unknown>[] = [];
    const captured = capture({ yieldAfterMs: 50 }, async (attempt) => {
      waited.push(other.query('ALTER TABLE events ALTER COLUMN body SET NOT NULL'));
      await stalled(attempt);
    });
    await expect(captured).rejects.toThrow(/gave way in each of 5 attempts: 1 session waited .* for events/);
    await Promise.all(waited);
  });
});

describe('a backup behind a lock', () => {
  it('waits so long and no longer, and names the table and who holds it', async () => {
    await using holder = await connect(source, { applicationName: 'migration' });
    await holder.query('BEGIN; LOCK TABLE hot IN ACCESS EXCLUSIVE MODE');
    const failing = capture({ lockTimeoutMs: 900 });
    await expect(failing).rejects.toThrow(/hot \(pid \d+, migration\)/);
    await expect(failing).rejects.toMatchObject({ code: 'database-dump-failed' });
    await holder.query('ROLLBACK');
  });

  it('goes on when the lock is gone meanwhile', async () => {
    await using holder = await connect(source, { applicationName: 'migration' });
    await holder.query('BEGIN; LOCK TABLE hot IN ACCESS EXCLUSIVE MODE');
    const capturing = capture({ lockTimeoutMs: 6000 });
    await setTimeout(2300);
    await holder.query('ROLLBACK');
    await using captured = await capturing;
    expect(captured.capture.setbacks).toEqual(['lock']);
  });

  it('is not bound by the time-outs of its role', async () => {
    await other.query(`CREATE ROLE hurried LOGIN PASSWORD 'hurried-1' IN ROLE pg_read_all_data;
      ALTER ROLE hurried SET statement_timeout = '200ms'; ALTER ROLE hurried SET lock_timeout = '50ms';
      ALTER ROLE hurried SET idle_in_transaction_session_timeout = '200ms'`);
    const target = { ...source, user: 'hurried', password: new Secret('hurried-1') };
    await using captured = await capture({}, () => setTimeout(700), target);
    await setTimeout(500);
    expect(await captured.snapshot.session.query('SELECT count(*) AS n FROM hot')).toEqual([{ n: 20_000 }]);
    expect(captured.capture.attempts).toBe(1);
  });
});

describe('a backup whose snapshot is lost', () => {
  it('begins again when somebody ended its session', async () => {
    await using captured = await capture({}, async (attempt, number) => {
      if (number > 1) return;
      await other.query('SELECT pg_terminate_backend($1)', [attempt.snapshot.pid]);
      await stalled(attempt);
    });
    expect(captured.capture.setbacks).toEqual(['lost']);
    expect(captured.said.join()).toMatch(/session that holds the snapshot was ended/);
  });

  it('begins again once when the server is restarted, and fails the second time', async () => {
    await other.close();
    await using captured = await capture({}, (_attempt, number) =>
      number > 1 ? Promise.resolve() : restart(),
    );
    expect(captured.capture.setbacks).toEqual(['lost']);
    await captured.release();
    await expect(capture({}, () => restart())).rejects.toThrow(/was lost in each of 2 attempts/);
    other = await connect(source, { applicationName: 'synapse' });
  });
});

async function restart(): Promise<void> {
  const data = join(server.directory, 'data');
  const argv = [
    'runuser',
    '-u',
    'postgres',
    '--',
    `${BIN}/pg_ctl`,
    '-D',
    data,
    '-w',
    '-l',
    join(server.directory, 'log'),
  ];
  await runCommand([...argv, '-m', 'immediate', 'restart'], { cwd: server.directory, check: true });
}

describe('a standby', () => {
  let standby: PostgresTarget;

  beforeAll(async () => {
    const directory = join(server.directory, 'standby');
    const port = (await freePorts(1))[0]!;
    const env = { PGPASSWORD: source.password!.reveal() };
    const as = ['runuser', '-u', 'postgres', '-w', 'PGPASSWORD', '--'];
    const run = (argv: string[]) => runCommand([...as, ...argv], { env, cwd: server.directory, check: true });
    const { host, user } = source;
    const from = ['-h', host, '-p', String(source.port), '-U', user, '--checkpoint=fast', '--no-sync'];
    await run([`${BIN}/pg_basebackup`, '-D', directory, '-R', '-X', 'stream', ...from]);
    const options = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_standby_streaming_delay=100ms`;
    await run([
      `${BIN}/pg_ctl`,
      '-D',
      directory,
      '-w',
      '-l',
      join(server.directory, 'standby.log'),
      '-o',
      options,
      'start',
    ]);
    standby = { ...source, port };
  });

  afterAll(async () => {
    const argv = [
      'runuser',
      '-u',
      'postgres',
      '--',
      `${BIN}/pg_ctl`,
      '-D',
      join(server.directory, 'standby'),
    ];
    await runCommand([...argv, '-m', 'immediate', 'stop'], { cwd: server.directory });
  });

  /** What vacuum removes on the primary, no snapshot of the standby can see any more. */
  async function conflict(): Promise<void> {
    await other.query('UPDATE hot SET value = value + 1');
    await other.query('VACUUM hot');
  }

  it('is dumped, and what it had replayed is recorded', async () => {
    await using captured = await capture({}, () => Promise.resolve(), standby);
    expect(captured.capture).toEqual({
      source: 'standby',
      replayLsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
      attempts: 1,
      setbacks: [],
    });
  });

  it('that cancels the dump is dumped again from a new snapshot', async () => {
    const first = (_attempt: Attempt, number: number) => (number > 1 ? Promise.resolve() : conflict());
    await using captured = await capture({ yieldAfterMs: 500 }, first, standby, 1);
    expect(captured.capture).toMatchObject({ source: 'standby', attempts: 2, setbacks: ['standby'] });
    expect(captured.capture.replayLagSeconds).toEqual(expect.any(Number));
    expect(captured.said.join()).toMatch(/conflict with recovery/);
  });

  it('that cancels every dump is told with the settings that would let it live', async () => {
    await expect(capture({ yieldAfterMs: 20 }, conflict, standby, 5)).rejects.toMatchObject({
      code: 'database-dump-failed',
      hints: [
        expect.stringMatching(
          /max_standby_streaming_delay \(it is 100ms\).*hot_standby_feedback = on \(it is off\)/,
        ),
      ],
    });
  });
});

describe('a snapshot that holds back vacuum', () => {
  it('is a warning with figures', async () => {
    await using captured = await capture();
    for (let round = 0; round < 4; round += 1) {
      await other.query('UPDATE hot SET value = value + 1');
      await other.query('VACUUM hot');
    }
    await setTimeout(1200);
    await other.query('SELECT 1');
    const [warning] = await captured.release();
    expect(warning).toMatch(
      /held back vacuum for .* dead rows .* public\.hot \d{5,} beside 20000 live ones; the database grew/,
    );
  });

  it('is none when nothing was held back', async () => {
    await using captured = await capture();
    expect(await captured.release()).toEqual([]);
  });
});

describe('an archive', () => {
  it('is accepted whole, however it is cut into pieces, and refused cut at any byte or with something behind it', async () => {
    await createDatabase(server.admin, 'small', 'admin');
    const target = { ...server.admin, database: 'small' };
    await using session = await connect(target, { applicationName: 'test' });
    await session.query(`CREATE TABLE t AS SELECT n, 'row ' || n AS text FROM generate_series(1, 30) n; CREATE TABLE empty (a int);
      SELECT lo_from_bytea(0, 'a large object'), lo_from_bytea(0, '')`);
    await using captured = await capture({}, () => Promise.resolve(), target);
    const whole = captured.value;
    for (const size of [1, 7, 65_536]) await passed(whole, size);
    const accepted: string[] = [];
    for (let length = 0; length < whole.length; length += 1) {
      await passed(whole.subarray(0, length), 65_536).then(
        () => accepted.push(`cut at ${length}`),
        (error: unknown) =>
          expect(messageOf(error)).toMatch(/the archive is cut: pg_dump ended after \d+ bytes/),
      );
    }
    expect(accepted).toEqual([]);
    await expect(passed(Buffer.concat([whole, Buffer.from('more of it')]), 65_536)).rejects.toThrow(
      /unknown type/,
    );
  });
});

async function passed(archive: Buffer, size: number): Promise<void> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < archive.length; at += size) pieces.push(archive.subarray(at, at + size));
  await buffer(Readable.from(pieces).pipe(requireWholeArchive()));
}
