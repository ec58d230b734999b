import { createHmac } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, type Config } from '../../src/config/index.ts';
import { Secret } from '../../src/core/secret.ts';
import { connect, indexStates } from '../../src/database/index.ts';
import { fillWorld, type World } from '../../src/demo/world/index.ts';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import { planMaintenance, type MaintenancePlan } from '../../src/jobs/maintenance/plan.ts';
import { runMaintenance, type TaskResult } from '../../src/jobs/maintenance/run.ts';
import { lifeboat } from '../cli/run.ts';
import { startLab, type Lab } from './backed-up-world.ts';

const DAY = 24 * 3600_000;

let lab: Lab;
let home: LabSynapse;
let world: World;
let config: Config;

beforeAll(async () => {
  lab = await startLab();
  home = await lab.startServer('home');
  const away = await lab.startServer('away');
  world = await fillWorld(home, away, { users: 2, messages: 6, media: 1 });
  config = await lab.configure(home);
}, 180_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

async function sql<Row extends Record<string, unknown>>(statement: string): Promise<Row[]> {
  await using session = await connect(home.database, { applicationName: 'test' });
  return await session.query<Row>(statement);
}

function settings(more: Partial<Config['maintenance']>): Config['maintenance'] {
  return { ...config.maintenance, ...more };
}

type Homeserver = NonNullable<Config['maintenance']['homeserver']>;
let admin: Homeserver | undefined;

/** A new server admin's token (Synapse's admin API, "Shared-Secret Registration"). */
async function adminHomeserver(): Promise<Homeserver> {
  if (admin !== undefined) return admin;
  const url = `${home.clientUrl}/_synapse/admin/v1/register`;
  const { nonce } = (await (await fetch(url)).json()) as { nonce: string };
  const [username, password] = ['root', 'correct horse of root'];
  const mac = createHmac('sha1', home.registrationSecret.reveal())
    .update([nonce, username, password, 'admin'].join('\0'))
    .digest('hex');
  const body = JSON.stringify({ nonce, username, password, admin: true, mac });
  const answer = (await (await fetch(url, { method: 'POST', body })).json()) as { access_token: string };
  return (admin = { url: home.clientUrl, adminToken: new Secret(answer.access_token) });
}

/** As seen from a moment in the future, or now. */
async function plan(given: Config['maintenance'], now = new Date()): Promise<MaintenancePlan> {
  await using session = await connect(home.database, { applicationName: 'test' });
  return await planMaintenance(given, session, { now: () => now } as Parameters<typeof planMaintenance>[2]);
}

async function run(given: Config['maintenance'], now = new Date()): Promise<TaskResult[]> {
  await using session = await connect(home.database, { applicationName: 'test' });
  const { tasks } = await plan(given, now);
  const results: TaskResult[] = [];
  for await (const result of runMaintenance(tasks, { session, homeserver: given.homeserver }))
    results.push(result);
  return results;
}

describe('maintenance of the database', () => {
  it('plans nothing unless it is set up', async () => {
    expect(await plan(config.maintenance)).toEqual({ tasks: [], leftovers: [] });
  });

  it('finds an index that is mostly empty, builds it anew beside the old one, and says what that freed', async () => {
    await sql(`CREATE TABLE swollen AS SELECT md5(n::text) AS word FROM generate_series(1, 250000) AS n`);
    await sql('CREATE INDEX swollen_word ON swollen (word)');
    await sql(`DELETE FROM swollen WHERE word > '1'`);
    await sql('VACUUM (ANALYZE) swollen');
    const given = settings({ reindexBloated: 60 });
    expect((await plan(given)).tasks.map(({ title }) => title)).toEqual([
      expect.stringMatching(/^build index swollen_word anew \(.* MiB, about \d\d % empty\)$/),
    ]);
    const [result] = await run(given);
    expect(result).toMatchObject({ ok: true, task: { kind: 'reindex', index: 'swollen_word' } });
    expect(result!.freedBytes).toBeGreaterThan(5 * 1024 * 1024);
    expect((await plan(given)).tasks).toEqual([]);
  });

  it('takes no freshly built index of Synapse for bloated', async () => {
    await sql('ANALYZE');
    await using session = await connect(home.database, { applicationName: 'test' });
    const [fresh] = (await indexStates(session)).filter(({ name }) => name === 'swollen_word');
    expect(fresh!.bloatPercent).toBeLessThan(30);
  });

  it('names an invalid index that a failed build has left', async () => {
    await sql('CREATE TABLE twice AS SELECT 1 AS one FROM generate_series(1, 2)');
    await expect(sql('CREATE UNIQUE INDEX CONCURRENTLY twice_one ON twice (one)')).rejects.toThrow(
      'could not create unique index',
    );
    expect((await plan(config.maintenance)).leftovers).toEqual(['twice_one']);
    // Named for a rebuild it fails again, and leaves another: the result says how to remove it.
    const [result] = await run(settings({ reindex: ['twice_one'] }));
    expect(result).toMatchObject({
      ok: false,
      said: expect.stringContaining('DROP INDEX CONCURRENTLY public."twice_one_ccnew"') as string,
    });
    await sql('DROP TABLE twice');
  });

  it('refuses an index that is not there', async () => {
    await expect(plan(settings({ reindex: ['nobody'] }))).rejects.toMatchObject({
      code: 'maintenance-failed',
    });
  });

  it('vacuums and analyzes every table', async () => {
    const [result] = await run(settings({ vacuum: true }));
    expect(result).toMatchObject({ ok: true, said: expect.stringMatching(/^\d+ tables; /) as string });
    const [events] = await sql<{ vacuumed: boolean }>(
      `SELECT last_vacuum IS NOT NULL AND last_analyze IS NOT NULL AS vacuumed FROM pg_stat_user_tables WHERE relname = 'events'`,
    );
    expect(events).toEqual({ vacuumed: true });
  });
});

describe('maintenance of Synapse', () => {
  it('removes cached media of other servers, and keeps its own', async () => {
    const homeserver = await adminHomeserver();
    const [us, them] = [world.ours[0]!, world.theirs[0]!];
    await us.download(await them.upload(new Uint8Array([1, 2, 3]), 'application/octet-stream', 'theirs'));
    const count = async (table: string) =>
      (await sql<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`))[0]!.count;
    const own = await count('local_media_repository');
    expect(await count('remote_media_cache')).toBeGreaterThan(0);
    const [result] = await run(
      settings({ homeserver, purgeMediaCacheMs: DAY }),
      new Date(Date.now() + 2 * DAY),
    );
    expect(result).toMatchObject({
      ok: true,
      said: expect.stringMatching(/^[1-9]\d* cached media removed$/) as string,
    });
    expect(await count('remote_media_cache')).toBe(0);
    expect(await count('local_media_repository')).toBe(own);
  });

  it('purges what is old from a named room, and from no other', async () => {
    const homeserver = await adminHomeserver();
    const us = world.ours[0]!;
    const [room, other] = [await us.createRoom({ name: 'old' }), await us.createRoom({ name: 'kept' })];
    const send = (roomId: string, body: string) =>
      us.send(roomId, 'm.room.message', { msgtype: 'm.text', body });
    for (const roomId of [room, other]) await send(roomId, 'first');
    const [boundary] = await sql<{ at: number }>(`SELECT max(received_ts) + 1 AS at FROM events`);
    await send(room, 'second');
    await send(room, 'third');
    const purgeHistory = [{ room, olderThanMs: DAY, deleteLocalEvents: true }];
    const now = new Date(Number(boundary!.at) + DAY);
    const [planned] = (await plan(settings({ homeserver, purgeHistory }), now)).tasks;
    expect(planned).toMatchObject({
      kind: 'purge-history',
      destructive: true,
      title: expect.stringContaining('with those of own users') as string,
    });
    const [result] = await run(settings({ homeserver, purgeHistory }), now);
    expect(result).toMatchObject({ ok: true, said: 'purged' });
    const bodies = async (roomId: string) =>
      (await us.messages(roomId, 50))
        .filter(({ type }) => type === 'm.room.message')
        .map(({ content }) => (content as { body: string }).body);
    expect(await bodies(room)).toEqual(['third', 'second']);
    expect(await bodies(other)).toEqual(['first']);
  });

  it('removes cached media before a backup where that is set up; where it fails the backup is taken and says so', async () => {
    const maintenance = settings({ purgeMediaCacheMs: 1, purgeMediaCacheBeforeBackup: true });
    const [us, them] = [world.ours[0]!, world.theirs[0]!];
    await us.download(await them.upload(new Uint8Array([4, 5, 6]), 'application/octet-stream', 'more'));
    const good = await lab.backUp({
      ...config,
      maintenance: { ...maintenance, homeserver: await adminHomeserver() },
    });
    expect(good.outcome.omissions).toEqual([]);
    expect(await sql('SELECT media_id FROM remote_media_cache')).toEqual([]);
    const homeserver = { url: home.clientUrl, adminToken: new Secret('nobody') };
    const { outcome } = await lab.backUp({ ...config, maintenance: { ...maintenance, homeserver } });
    expect(outcome.omissions).toEqual([
      expect.stringMatching(/^the media cache was not purged: .*401 M_UNKNOWN_TOKEN/),
    ]);
  });

  it('says so when the token is not that of an admin', async () => {
    const homeserver = { url: home.clientUrl, adminToken: new Secret(world.ours[1]!.account.accessToken) };
    const [result] = await run(settings({ homeserver, purgeMediaCacheMs: DAY }));
    expect(result).toMatchObject({ ok: false, said: expect.stringContaining('403 M_FORBIDDEN') as string });
  });
});

describe('lifeboat maintenance', () => {
  it('shows the plan, and changes nothing unless somebody confirms', async () => {
    const before = await readFile(config.file, 'utf8');
    await writeFile(config.file, `${before}\nmaintenance: {vacuum: true}\n`);
    expect((await loadConfig(config.file, {})).maintenance.vacuum).toBe(true);
    const dry = await lifeboat(['maintenance', '--config', config.file, '--dry-run']);
    expect(dry).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^- vacuum and analyze \d+ tables/) as string,
    });
    const unsaid = await lifeboat(['maintenance', '--config', config.file]);
    expect(unsaid).toMatchObject({ status: 30, stderr: expect.stringContaining('not confirmed') as string });
    const said = await lifeboat(['maintenance', '--config', config.file, '--yes']);
    expect(said).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('done    vacuum and analyze') as string,
    });
  });
});
