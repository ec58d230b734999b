import { access, chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/database/index.ts';
import {
  startPostgres,
  startSynapse,
  synapsePython,
  type LabPostgres,
  type LabSynapse,
} from '../../src/demo/lab/index.ts';
import {
  bridgeRegistration,
  destroyHomeserver,
  federationStillWorks,
  fillWorld,
  moreWorld,
  type World,
} from '../../src/demo/world/index.ts';
import { createDrillCa } from '../../src/environment/index.ts';

let directory: string;
let postgres: LabPostgres;
let home: LabSynapse;
let away: LabSynapse;
let world: World;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-lab-'));
  await chmod(directory, 0o755);
  postgres = await startPostgres({ directory: join(directory, 'postgres') });
  const common = { python: synapsePython(), ca: await createDrillCa() };
  const databases = [
    await postgres.createDatabase('home', 'home'),
    await postgres.createDatabase('away', 'away'),
  ] as const;
  [home, away] = await Promise.all([
    startSynapse({
      ...common,
      directory: join(directory, 'home'),
      database: databases[0],
      appservice: bridgeRegistration(),
    }),
    startSynapse({ ...common, directory: join(directory, 'away'), database: databases[1] }),
  ]);
  world = await fillWorld(home, away, { users: 3, messages: 12, media: 3 });
});

afterAll(async () => {
  await Promise.all([home?.stop(), away?.stop()]);
  await postgres?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function count(table: string, where = 'true'): Promise<number> {
  await using session = await connect(home.database, { applicationName: 'test' });
  const rows = await session.query<{ count: number }>(
    `SELECT count(*) AS count FROM ${table} WHERE ${where}`,
  );
  return rows[0]!.count;
}

describe('the lab', () => {
  it('holds in its database what the world says it made', async () => {
    expect(world.counts).toEqual({ users: 3, rooms: 4, messages: 12, media: 4, thumbnails: 6 });
    expect(await count('users', 'appservice_id IS NULL')).toBe(3);
    expect(await count('rooms')).toBe(4);
    expect(await count('local_media_repository')).toBe(4);
    expect(await count('e2e_device_keys_json')).toBe(3);
    expect(await count('e2e_one_time_keys_json')).toBe(60);
    expect(await count('e2e_fallback_keys_json')).toBe(3);
    expect(await count('e2e_room_keys_versions')).toBe(3);
    expect(await count('pushers')).toBe(3);
    expect(await count('redactions')).toBe(1);
    expect(await count('events', "type = 'm.room.encrypted'")).toBe(3);
    expect(await count('events', `sender = '@zoe:${away.serverName}' AND type = 'm.room.member'`)).toBe(1);
  });

  it('federates both ways, also after a restart', async () => {
    await home.stop();
    await home.start();
    const checks = await federationStillWorks(world);
    expect(checks.map(({ from, to, arrived }) => [from, to, arrived])).toEqual([
      [`@zoe:${away.serverName}`, `@alice:${home.serverName}`, true],
      [`@alice:${home.serverName}`, `@zoe:${away.serverName}`, true],
    ]);
  });

  it('grows by what a second day brings', async () => {
    const before = await count('events', "type = 'm.room.message'");
    const grown = await moreWorld(world, { messages: 4, media: 1 });
    expect(grown.counts).toMatchObject({ messages: 16, media: 5 });
    // Of four messages one goes to the encrypted room; the picture is announced by a message too.
    expect((await count('events', "type = 'm.room.message'")) - before).toBe(4);
  });

  it('leaves nothing of a destroyed homeserver, and its neighbour alone', async () => {
    await destroyHomeserver(home, postgres);
    await expect(access(home.directory)).rejects.toThrow('ENOENT');
    await expect(connect(home.database, { applicationName: 'test' })).rejects.toMatchObject({
      message: expect.stringContaining('home') as string,
    });
    expect((await fetch(`${away.clientUrl}/_matrix/client/versions`)).ok).toBe(true);
  });
});
