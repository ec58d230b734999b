import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { loadConfig, renderConfig, type Config } from '../../src/config/index.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  connect,
  createDatabase,
  newestClient,
  clientEnvironment,
  withPasswordFile,
} from '../../src/database/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import { startSynapse } from '../../src/demo/lab/index.ts';
import { createDrillCa } from '../../src/environment/index.ts';
import { runCommand } from '../../src/exec/index.ts';
import { backup, type BackupOptions } from '../../src/jobs/backup.ts';
import { openAt } from '../../src/jobs/open.ts';
import { silent, type Progress } from '../../src/observe/index.ts';
import { createRepository, planRetention } from '../../src/repository/index.ts';
import { openLocalStore } from '../../src/storage/local.ts';
import { startTestServer, type TestServer } from '../database/postgres.ts';
import { PYTHON } from './backed-up-world.ts';

/** A real Synapse's database, whose files are damaged on disk while PostgreSQL is down. */
let server: TestServer;
let target: PostgresTarget;
let config: Config;
let media: string;

const PAGE = 8192;

beforeAll(async () => {
  server = await startTestServer();
  await chmod(server.directory, 0o755);
  await createDatabase(server.admin, 'synapse', 'admin');
  {
    await using admin = await connect(server.admin, { applicationName: 'test' });
    await admin.query(`CREATE ROLE synapse SUPERUSER LOGIN PASSWORD 'synapse-1'`);
  }
  target = { ...server.admin, database: 'synapse', user: 'synapse', password: new Secret('synapse-1') };
  const synapse = await startSynapse({
    directory: join(server.directory, 'synapse'),
    database: target,
    python: PYTHON,
    ca: await createDrillCa(),
  });
  await synapse.stop();
  const { serverName } = synapse;
  await using session = await connect(target, { applicationName: 'test' });
  await session.query(`
    INSERT INTO users (name, creation_ts) SELECT '@user' || n || ':${serverName}', 0 FROM generate_series(1, 3000) n;
    INSERT INTO events SELECT (jsonb_populate_record(NULL::events, jsonb_build_object('event_id', '$f' || n, 'type', 'm.room.message',
      'room_id', '!r', 'stream_ordering', 100 + n, 'topological_ordering', n, 'depth', n, 'processed', true, 'outlier', true,
      'received_ts', 1, 'origin_server_ts', 1, 'sender', '@user1:${serverName}', 'contains_url', false, 'state_key', null))).* FROM generate_series(1, 3000) n;
    INSERT INTO event_json (event_id, room_id, internal_metadata, json, format_version)
      SELECT '$f' || n, '!r', '{}', repeat('x', 200), 3 FROM generate_series(1, 3000) n;
    CREATE EXTENSION amcheck`);
  await session.query('VACUUM (ANALYZE)');
  config = await configure(synapse.configFile);
  media = join(synapse.directory, 'media_store');
}, 180_000);

afterAll(() => server.stop());

async function configure(homeserver: string): Promise<Config> {
  const base = join(server.directory, 'lifeboat');
  const keys = { hostKeyFile: `${base}-host.key`, adminKeyFile: `${base}-admin.key` };
  const store = await openLocalStore(`${base}-repository`);
  const created = await createRepository(store, { ...keys, clock: systemClock, version: '0.0.0' });
  const identityFile = `${base}-identity`;
  await writeFile(identityFile, `${(created.recoveryIdentity as Secret).reveal()}\n`, { mode: 0o600 });
  const repository = `${base}-repository`;
  const yaml = renderConfig({
    homeserverConfig: [homeserver],
    program: PYTHON,
    repository,
    ...keys,
    stateDirectory: `${base}-state`,
  });
  await writeFile(`${base}.yaml`, `${yaml}\ndatabase:\n  amcheck_every: 0s\n  yield_after: 100ms\n`);
  return await loadConfig(`${base}.yaml`, { LIFEBOAT_IDENTITY_FILE: identityFile });
}

async function backUp(more: Partial<Pick<BackupOptions, 'acceptChanges' | 'progress'>> = {}) {
  const repository = await openAt(config.repository, systemClock);
  const outcome = await backup({ config, repository, tags: [], progress: silent, ...more });
  const manifest = await repository.manifest(outcome.commit.entry.id);
  const alarms = outcome.omissions.filter((line) => line.startsWith('ALARM'));
  return { repository, alarms, tags: outcome.commit.entry.tags, manifest };
}

/** As a disk that lost a write, or a file system that lost the end of a file. */
async function damage(table: string, act: (file: string, pages: number) => Promise<void>): Promise<void> {
  let file: string;
  let pages: number;
  {
    await using session = await connect(target, { applicationName: 'test' });
    await session.query('CHECKPOINT');
    const [row] = await session.query<{ path: string; pages: number }>(
      'SELECT pg_relation_filepath($1::regclass) AS path, pg_relation_size($1::regclass) / 8192 AS pages',
      [table],
    );
    file = join(server.directory, 'data', row!.path);
    pages = row!.pages;
  }
  await pgCtl('stop');
  await act(file, pages);
  await pgCtl('start');
}

async function pgCtl(what: 'stop' | 'start'): Promise<void> {
  const argv = ['runuser', '-u', 'postgres', '--', '/usr/lib/postgresql/15/bin/pg_ctl'];
  const options = (await readFile(join(server.directory, 'data', 'postmaster.opts'), 'utf8')).trim();
  const given = [...options.matchAll(/"(-[^"]*|[^"]*)"/g)].map(([, word]) => word!).join(' ');
  const how = what === 'stop' ? ['-m', 'fast'] : ['-l', join(server.directory, 'log'), '-o', given];
  await runCommand([...argv, '-D', join(server.directory, 'data'), '-w', ...how, what], {
    cwd: server.directory,
    check: true,
  });
}

async function overwrite(file: string, page: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, page * PAGE);
  await handle.close();
}

/** What pg_dump says of the damaged database. */
async function pgDump(): Promise<number> {
  const pg = (await newestClient('pg_dump')).path;
  const argv = [pg, '--format=custom', `--file=${join(server.directory, 'by-hand.dump')}`];
  const { exitCode } = await withPasswordFile(target, (env) =>
    runCommand(argv, { env: { ...clientEnvironment(target, 'by-hand'), ...env } }),
  );
  return exitCode;
}

describe('damage that is an error to nobody', () => {
  it('is an alarm with the counts of before, night after night, until it is accepted', async () => {
    expect((await backUp()).alarms).toEqual([]);
    await damage('users', (file, pages) => overwrite(file, pages - 2, new Uint8Array(PAGE)));
    expect(await pgDump()).toBe(0);

    const first = await backUp();
    expect(first.alarms).toEqual([
      expect.stringMatching(/^ALARM: users had 3\d{3} rows on .* and has 2\d{3} now: \d+ are gone/),
    ]);
    expect(first.manifest.warnings).toEqual(expect.arrayContaining(first.alarms));
    expect(first.tags).toEqual(['alarm']);
    const second = await backUp();
    expect(second.alarms).toEqual(first.alarms);
    // One good snapshot, two after the loss: the rule "the last one" keeps the good one as well.
    const kept = planRetention(await second.repository.snapshots(), { keepLast: 1 }).filter(
      ({ keep }) => keep,
    );
    expect(kept).toHaveLength(2);

    expect((await backUp({ acceptChanges: true })).alarms).toEqual([]);
    expect(await backUp()).toMatchObject({ alarms: [], tags: [] });
  });

  it('is an alarm for a file that was cut, and for the rows that lack their partner since', async () => {
    await damage('event_json', (file, pages) => truncate(file, (pages - 5) * PAGE));
    expect(await pgDump()).toBe(0);
    const { alarms } = await backUp();
    expect(alarms).toEqual([
      expect.stringMatching(/event_json had 3000 rows .* and has 2\d{3} now/),
      expect.stringMatching(/there were 0 events without their JSON .* and there are \d+ now/),
      ...alarms.slice(2),
    ]);
    await backUp({ acceptChanges: true });
  });
});

describe('a damaged index', () => {
  it('is found where it is, which no restored copy shows, until it is mended', async () => {
    const index = 'users_name_key';
    await damage(index, async (file, pages) => {
      // Swaps two keys on a leaf: every checksum and every dump is fine.
      const handle = await open(file, 'r+');
      const page = Buffer.alloc(PAGE);
      await handle.read(page, 0, PAGE, (pages - 1) * PAGE);
      const [a, b] = [page.readUInt32LE(28), page.readUInt32LE(32)];
      page.writeUInt32LE(b, 28);
      page.writeUInt32LE(a, 32);
      await handle.write(page, 0, PAGE, (pages - 1) * PAGE);
      await handle.close();
    });
    expect(await pgDump()).toBe(0);
    expect((await backUp()).alarms).toEqual([
      expect.stringMatching(/index users_name_key of users is damaged: /),
    ]);
    await using session = await connect(target, { applicationName: 'test' });
    await session.query(`REINDEX INDEX ${index}`);
    expect((await backUp()).alarms.filter((line) => line.includes(index))).toEqual([]);
  });
});

describe('a schema change that waits while media are copied', () => {
  it('is let through, and the backup is made again from a new snapshot', async () => {
    const folder = join(media, 'local_content', 'aa', 'bb');
    await mkdir(folder, { recursive: true });
    const names = Array.from({ length: 25 }, (_none, index) => `file${index}`);
    await Promise.all(names.map((name) => writeFile(join(folder, name), randomBytes(3_000_000))));
    await using session = await connect(target, { applicationName: 'synapse' });
    await session.query(
      `INSERT INTO local_media_repository (media_id, media_type, media_length, created_ts)
       SELECT 'aabb' || name, 'text/plain', 3000000, 0 FROM unnest($1::text[]) AS name`,
      [names],
    );
    const changes: Promise<unknown>[] = [];
    const change = 'ALTER TABLE local_media_repository ALTER COLUMN created_ts SET NOT NULL';
    const progress: Progress = ({ phase, done }) => {
      if (phase === 'media' && done !== undefined && changes.length === 0)
        changes.push(session.query(change));
    };
    const { manifest } = await backUp({ progress });
    await Promise.all(changes);
    expect(manifest.database.capture).toMatchObject({ attempts: 2, setbacks: ['pile-up'] });
    expect(manifest.media.files).toBe(25);
  });
});
