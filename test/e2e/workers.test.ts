import {
  appendFile,
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, type Config } from '../../src/config/index.ts';
import { systemClock } from '../../src/core/clock.ts';
import { connect } from '../../src/database/index.ts';
import { fillWorld } from '../../src/demo/world/index.ts';
import type { BackupOutcome } from '../../src/jobs/backup.ts';
import { drill } from '../../src/jobs/drill.ts';
import { openAt } from '../../src/jobs/open.ts';
import { silent } from '../../src/observe/index.ts';
import type { ArchivedFile, Manifest } from '../../src/repository/manifest.ts';
import type { Repository } from '../../src/repository/port.ts';
import { snapshotSource } from '../../src/restore/snapshot-source.ts';
import type { DrillReport } from '../../src/verify/report/model.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';
import { deployWithWorkers, type WorkerDeployment } from './worker-deployment.ts';

/** One real deployment with workers for all: what its backup holds, its drill, and what a second backup says of changes. */
let lab: Lab;
let deployment: WorkerDeployment;
let config: Config;
let first: { outcome: BackupOutcome; repository: Repository };
let manifest: Manifest;
let containerConfig: string;
const identity = () => `${config.file.replace(/\.yaml$/, '')}-identity`;

beforeAll(async () => {
  lab = await startLab();
  const main = await lab.startServer('home');
  const away = await lab.startServer('away');
  deployment = await deployWithWorkers(main, PYTHON);
  await fillWorld(deployment.server, away, { users: 3, messages: 24, media: 4 });
  config = await lab.configure(main);
  const extra = join(main.directory, 'extra');
  await mkdir(join(extra, 'empty'), { recursive: true });
  await writeFile(join(extra, 'turnserver.conf'), 'realm=x\n');
  await chmod(join(extra, 'turnserver.conf'), 0o640);
  await symlink('turnserver.conf', join(extra, 'link'));
  if (process.getuid?.() === 0) await chown(join(extra, 'turnserver.conf'), 991, 992);
  await appendFile(config.file, `\nconfig:\n  extra: ["${extra}"]\n`);
  // As if it ran in a container: its configuration names paths that this machine does not have.
  containerConfig = join(main.directory, 'in-container.yaml');
  const text = await readFile(main.configFile, 'utf8');
  await writeFile(containerConfig, text.replaceAll(main.directory, '/data'));
  const settings = (await readFile(config.file, 'utf8')).replace(main.configFile, containerConfig);
  await writeFile(
    config.file,
    settings.replace('kind: synapse\n', `kind: synapse\n  paths: {/data: ${main.directory}}\n`),
  );
  config = await loadConfig(config.file, { LIFEBOAT_IDENTITY_FILE: identity() });
  first = await lab.backUp(config);
  manifest = await (await openAt(config.repository, systemClock)).manifest(first.outcome.commit.entry.id);
}, 300_000);

afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});

const all = (): readonly ArchivedFile[] => [...manifest.keys.archive.files, ...manifest.config.archive.files];

describe('a backup of a deployment with workers', () => {
  it('is of data that the workers wrote: events by worker1, sent on by sender1, media by media1', async () => {
    await using session = await connect(deployment.server.database, { applicationName: 'test' });
    const [writers] = await session.query<{ names: string }>(
      "SELECT string_agg(DISTINCT instance_name, ',') AS names FROM events WHERE type = 'm.room.message'",
    );
    expect(writers!.names).toBe('worker1');
    const [queue] = await session.query<{ sent: string }>(
      "SELECT max(stream_id)::text AS sent FROM federation_stream_position WHERE instance_name = 'sender1'",
    );
    expect(Number(queue!.sent)).toBeGreaterThan(0);
    const media = await fetch(
      `${deployment.server.clientUrl.replace(/\d+$/, String(deployment.server.clientPort))}/_matrix/client/v1/media/config`,
    );
    expect(media.status, 'the main process serves no media').toBe(404);
    expect(manifest.media.files).toBeGreaterThan(8);
    expect(first.outcome.omissions).toEqual([]);
  });

  it('holds the files of all workers and the secret by which they trust each other, and warns of nothing', () => {
    const sources = all().map(({ source }) => source);
    expect(sources).toEqual(expect.arrayContaining([...deployment.workerFiles, deployment.secretFile]));
    expect(all().find(({ source }) => source === deployment.secretFile)?.role).toBe('secret');
    expect(manifest.config.secrets.map(({ name }) => name)).toContain('worker_replication_secret');
    expect(manifest.warnings).toEqual([]);
  });

  it('keeps owner and mode of what lifeboat.yaml names by pattern, links as links, empty directories too', () => {
    const extra = all().filter(({ role }) => role === 'extra');
    expect(extra.map(({ source, type, target }) => [source.split('/extra')[1], type, target])).toEqual([
      ['', 'directory', undefined],
      ['/empty', 'directory', undefined],
      ['/link', 'symlink', 'turnserver.conf'],
      ['/turnserver.conf', undefined, undefined],
    ]);
    const file = extra.find(({ source }) => source.endsWith('/turnserver.conf'))!;
    expect(file.mode).toBe(0o640);
    if (process.getuid?.() === 0) expect(file).toMatchObject({ uid: 991, gid: 992 });
  });
});

describe('a backup of a homeserver in a container', () => {
  it('finds the files on the host, and keeps the paths by which the homeserver knows them', () => {
    const { directory } = deployment.server;
    const named = all().filter(({ role }) => role !== 'extra');
    expect(named.length).toBeGreaterThan(8);
    for (const { source, inside } of named) expect(inside).toBe(source.replace(directory, '/data'));
  });
});

describe('a drill of a deployment with workers', () => {
  let report: DrillReport;
  beforeAll(async () => {
    report = await drill({
      source: await snapshotSource(first.repository, first.outcome.commit.entry.id),
      program: PYTHON,
      settings: {
        peer: true,
        timeoutMs: 300_000,
        workDirectory: lab.directory,
        postgresDirectory: undefined,
      },
      clientDirectory: undefined,
      keep: false,
      clock: systemClock,
      progress: silent,
    });
  }, 180_000);

  it('passes, with the server as one process that federates', () => {
    const failed = report.steps.flatMap(({ checks }) => checks.filter(({ result }) => result === 'fail'));
    expect(failed).toEqual([]);
    expect(report).toMatchObject({ result: 'PASS', exitStatus: 0 });
  });

  it('names what was folded: the settings, and the workers that were not tested', () => {
    const folded = report.defanged.filter(({ reason }) => reason === 'workers are folded into one process');
    expect(folded.map(({ setting }) => setting)).toEqual(
      expect.arrayContaining([
        'stream_writers',
        'instance_map',
        'enable_media_repo',
        'federation_sender_instances',
      ]),
    );
    expect(report.notTested[0]).toBe(
      'workers (media1, sender1, worker1), Redis and replication: the drill folds them into one process',
    );
  });
});

describe('the backup after', () => {
  it('says loudly that a signing key and a secret are others, once, and remembers no secret', async () => {
    const { signingKeyFile } = deployment.server;
    const configFile = containerConfig;
    expect(first.outcome.changes).toEqual([]);
    const [text, key] = [await readFile(configFile, 'utf8'), await readFile(signingKeyFile, 'utf8')];
    await writeFile(configFile, text.replace(/pepper: "[^"]*"/, 'pepper: "another pepper of the test"'));
    await writeFile(signingKeyFile, key.replace(/^ed25519 \S+/, 'ed25519 a_other'));
    const second = await lab.backUp(config);
    expect(second.outcome.changes.map(({ what, alarm }) => [what, alarm])).toEqual([
      ['signing-key', true],
      ['signing-key', false],
      ['secret', true],
    ]);
    expect(second.outcome.changes[2]!.text).toContain('password_config.pepper');
    const stored = await (
      await openAt(config.repository, systemClock)
    ).manifest(second.outcome.commit.entry.id);
    expect(stored.warnings[0]).toMatch(
      /^CHANGED since the last backup: the signing key ed25519:a_\S+ is gone/,
    );
    expect((await lab.backUp(config)).outcome.changes).toEqual([]);
    const remembered = join(config.repository.stateDirectory, 'identity');
    const [name = ''] = await readdir(remembered);
    const file = join(remembered, name);
    expect(await readFile(file, 'utf8')).not.toContain('another pepper');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    // A host that forgot begins anew, without an alarm.
    await rm(file);
    expect((await lab.backUp(config)).outcome.changes).toEqual([]);
  });
});
