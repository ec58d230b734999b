import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { connect, openSnapshot } from '../../src/database/index.ts';
import type { PostgresSession, PostgresTarget } from '../../src/database/port.ts';
import { runCommand } from '../../src/exec/index.ts';
import {
  checkIntegrity,
  cleanse,
  configCheckArgv,
  defang,
  homeserverOf,
  keyFingerprints,
  readConfigCheck,
  READINESS,
  requireSameKeys,
  startArgv,
  verifyVersion,
} from '../../src/homeserver/index.ts';
import type { Inventory, KindFacts } from '../../src/homeserver/port.ts';
import { openMediaDirectory } from '../../src/media/directory.ts';
import { freePorts, startSynapse, SYNAPSE_VENV, type RealSynapse } from './real-synapse.ts';

/** One real Synapse, filled by its client API, and the same database restored as a drill would. */
const shell = promisify(execFile);
const kind = homeserverOf('synapse');
const LOCAL = ['local_content', 'local_thumbnails'];
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';

let server: RealSynapse;
let directory: string;
let inventory: Inventory;
let roomId: string;
/** Stands for push gateways and bridges. */
let outside: Awaited<ReturnType<typeof listenForCalls>>;

beforeAll(async () => {
  server = await startSynapse();
  outside = await listenForCalls();
  directory = dirname(server.mediaStore);
  roomId = await populate();
  inventory = await kind.discover({ configFiles: [join(directory, 'homeserver.yaml')] });
}, 180_000);

afterAll(async () => {
  outside.close();
  await server[Symbol.asyncDispose]();
}, 60_000);

describe('a real Synapse', () => {
  it('is discovered with version, interpreter, key and media by its configuration and its process', () => {
    expect(inventory).toMatchObject({
      serverName: server.serverName,
      version: '1.163.2',
      program: `${SYNAPSE_VENV}/bin/python`,
      signingKeys: server.publicKeys,
      mediaStorePath: server.mediaStore,
      database: { host: '127.0.0.1', port: server.database.port, database: 'synapse' },
      warnings: [],
    });
    expect(inventory.files.map(({ role }) => role).toSorted()).toEqual([
      'homeserver-config',
      'other',
      'signing-key',
      'tls-certificate',
      'tls-key',
    ]);
    expect(() => verifyVersion('1.163.2', inventory.version)).not.toThrow();
  });

  it('has the facts that were made through its API', async () => {
    await using session = await open();
    const { facts, digests, newestEventTs } = await kind.facts(session, inventory);
    const [events] = await session.query<{ count: string }>('SELECT count(*) AS count FROM events');
    expect(facts).toMatchObject({
      users: 3,
      rooms: 1,
      rooms_joined: 1,
      devices: 3,
      media_local: 4,
      schema_version: 94,
      schema_compat_version: 84,
    });
    expect(facts).toMatchObject({
      events: Number(events!.count),
      events_local: Number(events!.count),
      forward_extremities: 1,
    });
    expect(Object.keys(digests)).toEqual(
      expect.arrayContaining(['event_json', 'users', 'current_state_events', 'local_media_repository']),
    );
    expect(Math.abs(Date.now() - newestEventTs!)).toBeLessThan(3_600_000);
  });

  it('shows a changed message body in its digests, and nothing else', async () => {
    await using session = await open();
    const before = await kind.facts(session, inventory);
    const after = await rolledBack(session, async () => {
      await session.query(
        `UPDATE event_json SET json = replace(json, 'message 3', 'message X') WHERE json LIKE '%message 3%'`,
      );
      return kind.facts(session, inventory);
    });
    expect(after.facts).toEqual(before.facts);
    expect(after.digests['event_json']).not.toBe(before.digests['event_json']);
    expect({ ...after.digests, event_json: '' }).toEqual({ ...before.digests, event_json: '' });
  });

  it('is recognised as foreign when its database is empty, of something else, or of another server', async () => {
    await shell('createdb', [...connection(), 'empty']);
    await using session = await open({ ...server.database, database: 'empty' });
    await expect(kind.facts(session, inventory)).rejects.toMatchObject({
      code: 'database-foreign',
      message: 'database empty is empty',
    });
    await session.query('CREATE TABLE users (name text)');
    await expect(kind.facts(session, inventory)).rejects.toMatchObject({
      code: 'database-foreign',
      message: expect.stringContaining('it has no table events'),
    });
    await using synapse = await open();
    await expect(kind.facts(synapse, { serverName: 'other.example' })).rejects.toMatchObject({
      code: 'server-name-mismatch',
      message: `the database belongs to ${server.serverName}, not to other.example`,
    });
  });

  it('has a catalogue that agrees with the disk in path, size and hash', async () => {
    await using session = await open();
    const media = await openMediaDirectory(server.mediaStore);
    const rows = await Array.fromAsync(kind.catalogue(session).rows());
    expect(await kind.catalogue(session).count?.()).toBe(rows.length);
    expect(rows.filter(({ mediaClass }) => mediaClass === 'local_content')).toHaveLength(4);
    expect(rows.some(({ mediaClass }) => mediaClass === 'local_thumbnails')).toBe(true);
    expect(
      rows.filter(({ mediaClass, sha256 }) => mediaClass === 'local_content' && sha256 === null),
    ).toEqual([]);
    for (const row of rows) expect(await media.compare(row.path, row), row.path).toBeUndefined();
    expect(rows.map(({ path }) => path)).toEqual(
      (await Array.fromAsync(media.walk(LOCAL))).map(({ path }) => path),
    );
    expect(await Array.fromAsync(media.reconcile(kind.catalogue(session), LOCAL))).toEqual([]);
  });

  it('has a catalogue even where the schema knows no hashes yet, and skips what was never uploaded', async () => {
    await using session = await open();
    const rows = await rolledBack(session, async () => {
      await session.query('ALTER TABLE local_media_repository DROP COLUMN sha256');
      await session.query(
        `INSERT INTO local_media_repository (media_id, created_ts, user_id) VALUES ('announcedonly', 1, '@a:b')`,
      );
      return Array.fromAsync(kind.catalogue(session, ['local_content']).rows());
    });
    expect(rows).toHaveLength(4);
    expect(rows.every(({ sha256 }) => sha256 === null)).toBe(true);
  });

  it('is sound, but for the one-time keys that must not come back', async () => {
    await using session = await open();
    const findings = await checkIntegrity(session, inventory);
    expect(findings.filter(({ ok }) => !ok)).toMatchObject([
      { id: 'one-time-keys-empty', observed: '5 keys', severity: 'warning' },
    ]);
  });

  it.each([
    ['events-have-json', `DELETE FROM event_json WHERE json LIKE '%message 3%'`, /^\$/],
    ['extremities-have-events', `UPDATE event_forward_extremities SET event_id = '$gone'`, /^\$gone$/],
    [
      'events-have-state',
      `DELETE FROM event_to_state_groups WHERE event_id = (SELECT min(event_id) FROM event_to_state_groups)`,
      /^\$/,
    ],
    [
      'state-groups-exist',
      `UPDATE event_to_state_groups SET state_group = 999999 WHERE event_id = (SELECT min(event_id) FROM event_to_state_groups)`,
      /^\$/,
    ],
    ['rooms-have-create', `UPDATE events SET type = 'm.room.other' WHERE type = 'm.room.create'`, /^!/],
    [
      'state-edges-unique',
      `DROP INDEX state_group_edges_unique_idx; INSERT INTO state_group_edges SELECT * FROM state_group_edges ORDER BY 1 LIMIT 1`,
      /^\d+ -> \d+$/,
    ],
    ['members-have-accounts', `DELETE FROM users WHERE name LIKE '@ben:%'`, /^@ben:/],
    [
      'sequences-not-behind',
      `SELECT setval('events_stream_seq', 2)`,
      /^events_stream_seq: at 2, used up to \d+$/,
    ],
  ])('names the damage: %s', async (id, damage, name) => {
    await using session = await open();
    const finding = await rolledBack(session, async () => {
      for (const statement of damage.split('; ')) await session.query(statement);
      return (await checkIntegrity(session, inventory)).find((each) => each.id === id);
    });
    // setval is not transactional.
    await session.query(`SELECT setval('events_stream_seq', 100000)`);
    expect(finding).toMatchObject({ ok: false, names: [expect.stringMatching(name)] });
  });
});

describe('a restored copy of it', () => {
  let copy: PostgresTarget;
  let drill: string;
  /** Measured in the snapshot that was dumped: the live server goes on with its background updates. */
  let measured: KindFacts;

  beforeAll(async () => {
    copy = { ...server.database, database: 'drill' };
    drill = join(directory, 'drill');
    await mkdir(drill);
    await using snapshot = await openSnapshot(server.database, 'test');
    measured = await kind.facts(snapshot.session, inventory);
    await shell('createdb', [
      ...connection(),
      '--encoding=UTF8',
      '--locale=C',
      '--template=template0',
      'drill',
    ]);
    await shell('sh', [
      '-c',
      `pg_dump ${connection().join(' ')} -Fc --snapshot=${snapshot.snapshotId} synapse | pg_restore ${connection().join(' ')} -d drill --exit-on-error`,
    ]);
    await cp(server.mediaStore, join(drill, 'media'), { recursive: true });
    await cp(join(directory, 'signing.key'), join(drill, 'signing.key'));
  }, 120_000);

  it('has equal facts and digests', async () => {
    await using restored = await open(copy);
    expect(await kind.facts(restored, inventory)).toEqual(measured);
  });

  it('is cleansed of one-time keys, cached remote media and lagging sequences, and a second time of nothing', async () => {
    await using session = await open(copy);
    await session.query(
      `INSERT INTO remote_media_cache (media_origin, media_id, filesystem_id, quarantined_by) VALUES ('b', '1', 'f1', NULL), ('b', '2', 'f2', '@admin:a')`,
    );
    await session.query(
      `UPDATE stream_positions SET stream_id = 5000 WHERE stream_name = 'device_lists_stream'`,
    );
    await session.query(`SELECT setval('state_group_id_seq', 1)`);
    const result = await cleanse(session);
    expect(result).toMatchObject({ oneTimeKeysRemoved: 5, remoteMediaForgotten: 1 });
    expect(result.sequencesAdvanced.map(({ sequence }) => sequence)).toEqual([
      'device_lists_sequence',
      'state_group_id_seq',
    ]);
    expect(result.changes).toHaveLength(4);
    expect(await session.query('SELECT media_id FROM remote_media_cache')).toEqual([{ media_id: '2' }]);
    expect((await checkIntegrity(session, inventory)).filter(({ ok }) => !ok)).toEqual([]);
    expect(await cleanse(session)).toMatchObject({ changes: [] });
  });

  it('fails the configuration check without its key, and no key is made', async () => {
    const launch = await writeOverlay({ signingKeyPath: join(drill, 'missing.key') });
    const check = readConfigCheck(await runCommand(configCheckArgv(launch), { check: false, cwd: drill }));
    expect(check).toMatchObject({
      ok: false,
      problem: expect.stringContaining(`Error accessing file '${drill}/missing.key'`),
    });
    await expect(readFile(join(drill, 'missing.key'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('starts defanged, workers folded, answers under the old key, and calls nobody', async () => {
    // The live server has shown that there is something to hold back.
    const before = outside.calls();
    expect(before).toBeGreaterThan(0);
    const launch = await writeOverlay({}, await dangerousConfiguration(outside.url));
    expect(
      readConfigCheck(await runCommand(configCheckArgv(launch), { check: false, cwd: drill })),
    ).toMatchObject({ ok: true, serverName: server.serverName });
    const keys = await keyFingerprints(join(drill, 'signing.key'));
    const restored = await startCopy(startArgv(launch), launch.clientPort);
    try {
      const base = `http://127.0.0.1:${launch.clientPort}`;
      const published = await json<{ verify_keys: Record<string, { key: string }> }>(
        `${base}/_matrix/key/v2/server`,
      );
      expect(published.verify_keys[server.publicKeys[0]!.keyId]?.key).toBe(server.publicKeys[0]!.publicKey);
      // A new user of the drill joins the restored room and speaks: appservices and pushers would hear of it.
      const { access_token } = await register(base, 'drill_user', 'drill-registration');
      await call('POST', `${base}/_matrix/client/v3/join/${encodeURIComponent(roomId)}`, {}, access_token);
      await call(
        'PUT',
        `${base}/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/1`,
        { msgtype: 'm.text', body: 'x' },
        access_token,
      );
      await sleep(3000);
      await requireSameKeys(join(drill, 'signing.key'), keys);
    } finally {
      await stop(restored);
    }
    expect(outside.calls()).toBe(before);
  }, 120_000);

  async function writeOverlay(more: { signingKeyPath?: string }, dangerous?: string) {
    const [clientPort, federationPort] = (await freePorts(2)) as [number, number];
    const configFiles = [join(directory, 'homeserver.yaml'), ...(dangerous === undefined ? [] : [dangerous])];
    const { merged } = dangerous === undefined ? inventory : await mergedWith(dangerous);
    const { yaml, logConfig } = defang(
      { merged },
      {
        directory: drill,
        home: drill,
        databaseTarget: copy,
        signingKeyPath: join(drill, 'signing.key'),
        mediaStorePath: join(drill, 'media'),
        clientPort,
        federationPort,
        tlsCert: join(directory, 'localhost.pem'),
        tlsKey: join(directory, 'localhost.key'),
        caFile: join(directory, 'ca.pem'),
        probeNames: ['probe.invalid'],
        registrationSecret: new Secret('drill-registration'),
        ...more,
      },
    );
    await writeFile(join(drill, 'overlay.yaml'), yaml, { mode: 0o600 });
    await writeFile(logConfig.path, logConfig.yaml);
    return {
      program: inventory.program!,
      configFiles: [...configFiles, join(drill, 'overlay.yaml')],
      clientPort,
    };
  }

  /** An appservice that listens, workers, Redis, mail, files that were not restored: what real installations have. */
  async function dangerousConfiguration(url: string): Promise<string> {
    await writeFile(
      join(drill, 'bridge.yaml'),
      `id: bridge\nurl: ${url}\nas_token: as\nhs_token: hs\nsender_localpart: bridge\nnamespaces: {rooms: [{exclusive: false, regex: '.*'}]}\n`,
    );
    const path = join(drill, 'dangerous.yaml');
    await writeFile(
      path,
      `app_service_config_files: [${drill}/bridge.yaml]
redis: {enabled: true, host: redis.invalid, password_path: /nonexistent/redis}
instance_map: {main: {host: localhost, port: 9093}, worker1: {host: localhost, port: 9094}}
stream_writers: {events: worker1, typing: worker1}
federation_sender_instances: [sender1]
pusher_instances: [pusher1]
run_background_tasks_on: worker1
notify_appservices_from_worker: worker1
enable_media_repo: false
registrations_require_3pid: [email]
email: {smtp_host: mail.invalid, notif_from: 'x <a@b>', template_dir: /nonexistent/templates, enable_notifs: true}
templates: {custom_template_directory: /nonexistent/templates}
macaroon_secret_key: null
macaroon_secret_key_path: /nonexistent/macaroon
modules: [{module: nonexistent.Module, config: {}}]
soft_file_limit: 10000000
`,
    );
    return path;
  }

  async function mergedWith(dangerous: string): Promise<Pick<Inventory, 'merged'>> {
    const { readConfiguration } = await import('../../src/homeserver/synapse/configuration.ts');
    return readConfiguration([join(directory, 'homeserver.yaml'), dangerous]);
  }

  async function startCopy(argv: string[], port: number): Promise<ChildProcess> {
    const child = spawn(argv[0]!, argv.slice(1), { cwd: drill, stdio: 'ignore' });
    for (let tries = 0; tries < 600 && child.exitCode === null; tries += 1) {
      const ready = await fetch(`http://127.0.0.1:${port}${READINESS.path}`).then(
        async (answer) => (await answer.text()) === READINESS.body,
        () => false,
      );
      if (ready) return child;
      await sleep(100);
    }
    throw new Error(`the copy did not start: exit status ${child.exitCode}`);
  }
});

const tokens = new Map<string, string>();

/** Three users with devices and one-time keys, a room, twelve messages, four media with thumbnails. */
async function populate(): Promise<string> {
  const base = `http://127.0.0.1:${server.clientPort}`;
  for (const name of ['anna', 'ben', 'cleo'])
    tokens.set(name, (await register(base, name, server.registrationSecret.reveal())).access_token);
  const { room_id } = await call<{ room_id: string }>(
    'POST',
    `${base}/_matrix/client/v3/createRoom`,
    { preset: 'public_chat' },
    tokens.get('anna'),
  );
  for (const name of ['ben', 'cleo'])
    await call('POST', `${base}/_matrix/client/v3/join/${encodeURIComponent(room_id)}`, {}, tokens.get(name));
  roomId = room_id;
  for (let index = 0; index < 12; index += 1)
    await say(['anna', 'ben', 'cleo'][index % 3]!, `message ${index}`);
  for (const size of [0, 5000, 2_000_000]) await upload(base, randomBytes(size), 'application/octet-stream');
  await upload(base, Buffer.from(PNG, 'base64'), 'image/png');
  const keys = Array.from({ length: 5 }, (_, index) => [
    `signed_curve25519:AAAA0${index}`,
    { key: 'x'.repeat(43), signatures: {} },
  ]);
  await call(
    'POST',
    `${base}/_matrix/client/v3/keys/upload`,
    { one_time_keys: Object.fromEntries(keys) },
    tokens.get('anna'),
  );
  await pusherFor('anna', outside.url);
  await say('ben', 'a message that is pushed');
  await outside.called();
  return room_id;
}

async function say(name: string, body: string): Promise<void> {
  const room = encodeURIComponent(roomId);
  const url = `http://127.0.0.1:${server.clientPort}/_matrix/client/v3/rooms/${room}/send/m.room.message/${randomBytes(6).toString('hex')}`;
  await call('PUT', url, { msgtype: 'm.text', body }, tokens.get(name));
}

async function upload(base: string, content: Buffer, type: string): Promise<void> {
  const headers = { authorization: `Bearer ${tokens.get('anna')}`, 'content-type': type };
  const answer = await fetch(`${base}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers,
    body: new Uint8Array(content),
  });
  expect(answer.status).toBe(200);
}

async function pusherFor(name: string, url: string): Promise<void> {
  const pusher = {
    app_display_name: 'a',
    app_id: 'a',
    device_display_name: 'd',
    kind: 'http',
    lang: 'en',
    pushkey: 'k',
    data: { url: `${url}/_matrix/push/v1/notify` },
  };
  await call(
    'POST',
    `http://127.0.0.1:${server.clientPort}/_matrix/client/v3/pushers/set`,
    pusher,
    tokens.get(name),
  );
}

async function register(base: string, username: string, secret: string): Promise<{ access_token: string }> {
  const { nonce } = await json<{ nonce: string }>(`${base}/_synapse/admin/v1/register`);
  const mac = createHmac('sha1', secret)
    .update([nonce, username, 'password', 'notadmin'].join('\0'))
    .digest('hex');
  return call('POST', `${base}/_synapse/admin/v1/register`, {
    nonce,
    username,
    password: 'password',
    mac,
    admin: false,
  });
}

async function json<T>(url: string): Promise<T> {
  return (await fetch(url)).json() as Promise<T>;
}

async function call<T = unknown>(method: string, url: string, body: unknown, token?: string): Promise<T> {
  const headers = {
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const answer = await fetch(url, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
  return answer.json() as Promise<T>;
}

async function listenForCalls() {
  let calls = 0;
  const listener = createServer((_, response) => {
    calls += 1;
    response.setHeader('content-type', 'application/json').end('{"rejected": []}');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => listener.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    calls: () => calls,
    called: async () => {
      for (let tries = 0; calls === 0 && tries < 300; tries += 1) await sleep(100);
      expect(calls).toBeGreaterThan(0);
    },
    close: () => void listener.close(),
  };
}

async function open(target: PostgresTarget = server.database): Promise<PostgresSession> {
  return connect(target, { applicationName: 'lifeboat:test' });
}

async function rolledBack<T>(session: PostgresSession, work: () => Promise<T>): Promise<T> {
  await session.query('BEGIN');
  try {
    return await work();
  } finally {
    await session.query('ROLLBACK');
  }
}

function connection(): string[] {
  return ['-h', '127.0.0.1', '-p', String(server.database.port), '-U', 'postgres'];
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}
