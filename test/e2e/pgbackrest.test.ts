import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { loadConfig, type Config } from '../../src/config/index.ts';
import { connect, openRecoverableSnapshot, pgBackRest } from '../../src/database/index.ts';
import { fillWorld } from '../../src/demo/world/index.ts';
import { homeserverOf } from '../../src/homeserver/index.ts';
import type { Inventory } from '../../src/homeserver/port.ts';
import { recordPhysically } from '../../src/jobs/backup-physical.ts';
import { requireDumps } from '../../src/jobs/physical-by-hand.ts';
import { drill } from '../../src/jobs/drill.ts';
import { verifySnapshot } from '../../src/jobs/verify.ts';
import { silent } from '../../src/observe/index.ts';
import type { Manifest } from '../../src/repository/manifest.ts';
import type { Repository } from '../../src/repository/port.ts';
import { snapshotSource } from '../../src/restore/snapshot-source.ts';
import type { Check } from '../../src/restore/step.ts';
import type { DrillReport } from '../../src/verify/report/model.ts';
import { PYTHON, startLab } from './backed-up-world.ts';
import { addTo, startArchivingLab, type ArchivingLab } from './pgbackrest-cluster.ts';

let archiving: ArchivingLab;
let config: Config;
let repository: Repository;
let full: Manifest;
let incremental: Manifest;
let rowsInTheEnd = 0;

beforeAll(async () => {
  archiving = await startArchivingLab();
  const { lab } = archiving;
  const home = await lab.startServer('home');
  const away = await lab.startServer('away');
  await fillWorld(home, away, { users: 2, messages: 12, media: 3 });
  const plain = await lab.configure(home);
  await addTo(plain.file, archiving.yaml);
  config = await loadConfig(plain.file, { LIFEBOAT_IDENTITY_FILE: plain.repository.identityFile! });
  full = await backUp();
  await using session = await connect(home.database, { applicationName: 'test' });
  // A sequence and rows that move on while the backup runs.
  await session.query('CREATE TABLE written (n bigint)');
  const writing = { goOn: true };
  const writer = (async () => {
    let n = 0;
    for (; writing.goOn; n += 1) {
      await session.query('INSERT INTO written VALUES ($1)', [n]);
      // Moments without any writer, as a homeserver has them too.
      await sleep(20);
    }
    return n;
  })();
  incremental = await backUp();
  writing.goOn = false;
  rowsInTheEnd = await writer;
}, 180_000);

afterAll(async () => {
  await archiving.lab[Symbol.asyncDispose]();
});

async function backUp(): Promise<Manifest> {
  const { outcome, repository: opened } = await archiving.lab.backUp(config);
  expect(outcome.omissions).toEqual([]);
  repository = opened;
  return await opened.manifest(outcome.commit.entry.id);
}

async function run(manifest: Manifest, onlyDatabase = false): Promise<DrillReport> {
  return await drill({
    source: await snapshotSource(repository, manifest.snapshotId),
    program: PYTHON,
    settings: { ...config.drill, workDirectory: archiving.lab.directory },
    clientDirectory: undefined,
    pgbackrest: config.database.pgbackrest,
    keep: false,
    ...(onlyDatabase ? { alterSteps: (steps) => steps.slice(0, 1) } : {}),
    clock: systemClock,
    progress: silent,
  });
}

function failed(report: DrillReport): string[] {
  return report.steps.flatMap((step) => [
    ...(step.error === undefined ? [] : [`${step.number} ${step.error.code}: ${step.error.message}`]),
    ...step.checks
      .filter(({ result }) => result === 'fail')
      .map((check) => `${step.number} ${check.id}: ${check.observed} ${check.detail?.join(' ')}`),
  ]);
}

function check(report: DrillReport, id: string): Check | undefined {
  return report.steps.flatMap(({ checks }) => checks).find((each) => each.id === id);
}

async function verify(manifest: Manifest): Promise<Record<string, string>> {
  const results: Record<string, string> = {};
  const engine = pgBackRest(config.database.pgbackrest!);
  for await (const { id, result } of verifySnapshot(
    repository,
    manifest.snapshotId,
    silent,
    undefined,
    {},
    engine,
  ))
    results[id] = result;
  return results;
}

/** Files below pgBackRest's own repository. */
async function kept(pattern: RegExp): Promise<string[]> {
  const names = await readdir(archiving.repository, { recursive: true });
  return names.filter((name) => pattern.test(name)).map((name) => join(archiving.repository, name));
}

describe('a snapshot whose database pgBackRest keeps', () => {
  it('names label, cluster and WAL position, and holds no dump', () => {
    expect(full.database).toMatchObject({
      engine: 'pgbackrest',
      dumps: [],
      physical: {
        stanza: 'lab',
        type: 'full',
        target: { walFile: expect.stringMatching(/^00000001/) as string },
      },
    });
    expect(incremental.database.physical).toMatchObject({ type: 'incr' });
    expect(incremental.database.physical?.label).toContain(full.database.physical!.label);
  });

  it('is verified by asking pgBackRest for backup, WAL and checksums', async () => {
    expect(await verify(incremental)).toMatchObject({
      'verify.external-backup': 'pass',
      'verify.external-wal': 'pass',
      'verify.external-content': 'pass',
    });
  });

  it('passes a drill, with everything equal although rows were written all the time', async () => {
    const report = await run(incremental);
    expect(failed(report)).toEqual([]);
    expect(report.result).toBe('PASS');
    expect(check(report, 'database.instant')).toMatchObject({ result: 'pass' });
    expect(check(report, 'database.wal')).toMatchObject({ result: 'pass' });
    expect(check(report, 'start.no-one-time-keys')).toMatchObject({ result: 'pass' });
    // The writer went on after the instant: the archive holds more rows than the drill has recovered.
    expect(incremental.database.invariants.tableRows['written']).toBeLessThan(rowsInTheEnd);
  });

  it('is not restored over anything: the command for it by hand is told', async () => {
    const source = await snapshotSource(repository, full.snapshotId);
    expect(() => requireDumps(source)).toThrow(
      expect.objectContaining({
        code: 'target-unfit',
        hints: expect.arrayContaining([
          expect.stringContaining(`--set=${full.database.physical!.label}`),
        ]) as string[],
      }),
    );
  });

  it('fails a drill in step 1 when a WAL segment is missing, and names it', async () => {
    const { walFile } = incremental.database.physical!.target;
    const files = await kept(new RegExp(`/${walFile}-`));
    expect(files).toHaveLength(1);
    const hidden = join(archiving.lab.directory, 'hidden-segment');
    await rename(files[0]!, hidden);
    const report = await run(incremental, true);
    await rename(hidden, files[0]!);
    expect(report.result).toBe('FAIL');
    expect(failed(report)[0]).toMatch(new RegExp(`^1 wal-missing: WAL segment ${walFile}`));
  });

  it('fails drill and verify clearly when pgBackRest has expired its backup', async () => {
    // repo1-retention-full=1: the next full one lets the first go, and what leans on it.
    await archiving.pgBackRest('backup', '--type=full');
    const report = await run(incremental, true);
    expect(report.result).toBe('FAIL');
    expect(failed(report)[0]).toMatch(
      /^1 external-backup-expired: external backup expired: .*has no backup /,
    );
    expect(await verify(incremental)).toMatchObject({ 'verify.external-backup': 'fail' });
  });

  it('is not taken of another cluster than the stanza keeps', async () => {
    await using other = await startLab();
    const elsewhere = await other.postgres.createDatabase('elsewhere', 'elsewhere');
    const engine = pgBackRest({ ...config.database.pgbackrest!, type: 'newest' });
    await using snapshot = await openRecoverableSnapshot(elsewhere, 'test');
    const source = { kind: homeserverOf('synapse'), inventory: {} as Inventory, database: elsewhere };
    const attempt = { snapshot, signal: new AbortController().signal };
    await expect(
      recordPhysically(engine, await engine.backup(), source, attempt, silent),
    ).rejects.toMatchObject({ code: 'database-foreign' });
  });
});
