import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newSeed } from '../../src/core/ed25519.ts';
import { Secret } from '../../src/core/secret.ts';
import { systemClock } from '../../src/core/clock.ts';
import { connect } from '../../src/database/index.ts';
import { bridgeRegistration, fillWorld } from '../../src/demo/world/index.ts';
import { formatSigningKey } from '../../src/homeserver/index.ts';
import { drill, type DrillOptions } from '../../src/jobs/drill.ts';
import { silent } from '../../src/observe/index.ts';
import type { RestoreContext } from '../../src/restore/context.ts';
import { snapshotSource } from '../../src/restore/snapshot-source.ts';
import type { RestoreSource } from '../../src/restore/source.ts';
import type { Step, StepId } from '../../src/restore/step.ts';
import { encodeBase64 } from '../../src/verify/events/base64.ts';
import type { DrillReport } from '../../src/verify/report/model.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

let lab: Lab;
let source: RestoreSource;

beforeAll(async () => {
  lab = await startLab();
  const home = await lab.startServer('home', { appservice: bridgeRegistration() });
  const away = await lab.startServer('away');
  await fillWorld(home, away, { users: 3, messages: 30, media: 6 });
  const config = await lab.configure(home);
  // As a large database would be: in lanes, which the drill restores beside each other.
  const { outcome, repository } = await lab.backUp(config, { smallDatabaseBytes: 0 });
  expect(outcome.omissions).toEqual([]);
  expect((await repository.manifest(outcome.commit.entry.id)).database.dumps.length).toBeGreaterThan(5);
  source = await snapshotSource(repository, outcome.commit.entry.id);
}, 180_000);

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

function run(options: Partial<DrillOptions> & { peer?: boolean } = {}): Promise<DrillReport> {
  const settings = {
    peer: options.peer ?? false,
    timeoutMs: 300_000,
    workDirectory: lab.directory,
    postgresDirectory: undefined,
  };
  return drill({
    source,
    program: PYTHON,
    settings,
    clientDirectory: undefined,
    keep: false,
    clock: systemClock,
    progress: silent,
    ...options,
  });
}

/** A drill whose restored copy is damaged right after the named step has restored it. */
function damagedAfter(
  step: StepId,
  damage: (context: RestoreContext) => Promise<void>,
): Promise<DrillReport> {
  const alter = (each: Step<RestoreContext>): Step<RestoreContext> => ({
    ...each,
    check: (context) => each.check(context),
    apply: async (context) => {
      await each.apply(context);
      if (each.id === step) await damage(context);
    },
  });
  return run({ alterSteps: (steps) => steps.map(alter) });
}

async function sql(context: RestoreContext, statement: string): Promise<Record<string, unknown>[]> {
  await using session = await connect(
    { ...context.target.admin!, database: context.target.database.database },
    { applicationName: 'test' },
  );
  return await session.query(statement);
}

async function mediaFile(context: RestoreContext, mediaClass = 'local_content'): Promise<string> {
  for await (const file of context.source.media())
    if (file.path.startsWith(mediaClass)) return join(context.target.mediaDirectory, file.path);
  throw new Error('the world has no media');
}

function failed(report: DrillReport): string[] {
  return report.steps.flatMap((step) => [
    ...(step.error === undefined ? [] : [`${step.number} ${step.error.code}: ${step.error.message}`]),
    ...step.checks.filter(({ result }) => result === 'fail').map((check) => `${step.number} ${check.id}`),
  ]);
}

function check(report: DrillReport, id: string) {
  const found = report.steps.flatMap(({ checks }) => checks).find((each) => each.id === id);
  expect(found, `check ${id}`).toBeDefined();
  return found!;
}

describe('a drill of a sound snapshot', () => {
  let report: DrillReport;
  beforeAll(async () => {
    report = await run({ peer: true });
  }, 180_000);

  it('passes all six steps', () => {
    expect(failed(report)).toEqual([]);
    expect(report.steps.map(({ result }) => result)).toEqual([
      'pass',
      'pass',
      'pass',
      'pass',
      'pass',
      'pass',
    ]);
    expect(report).toMatchObject({ result: 'PASS', exitStatus: 0 });
  });

  it('finds the facts of the snapshot equal and says how many', () => {
    for (const id of [
      'database.rows-equal',
      'database.indexes-equal',
      'database.content-equal',
      'media.as-in-manifest',
      'keys.fingerprint',
    ]) {
      expect(check(report, id).result, id).toBe('pass');
    }
    expect(report.sizes.users).toBeGreaterThanOrEqual(3);
    expect(report.sizes.mediaFiles).toBeGreaterThan(6);
  });

  it('verifies old events of every user under the restored key', () => {
    expect(check(report, 'keys.old-events').observed).toMatch(/^(\d+) of \1 verify, of [3-9] users/);
  });

  it('federates with the probe and with a second real homeserver', () => {
    for (const id of [
      'federation.key-published',
      'federation.refuses-wrong-key',
      'federation.media',
      'peer.join',
      'peer.message-in',
      'peer.message-out',
    ]) {
      expect(check(report, id).result, id).toBe('pass');
    }
  });

  it('shows that the environment is sealed, and that pushers and the appservice sent nothing', () => {
    expect(report.environment.escapes.length).toBeGreaterThan(8);
    expect(report.environment.escapes.filter(({ escaped }) => escaped)).toEqual([]);
    expect(report.environment.outsidePackets).toBe(0);
    expect(check(report, 'sealed.no-lookups').observed).toBe('0 names looked up');
  });

  it('lists every setting that was changed to make the copy harmless', () => {
    expect(report.defanged.map(({ setting }) => setting)).toEqual(
      expect.arrayContaining(['app_service_config_files', 'federation_domain_whitelist', 'start_pushers']),
    );
  });

  it('leaves no directory and no process', async () => {
    expect((await readdir(lab.directory)).filter((name) => name.startsWith('lifeboat-drill-'))).toEqual([]);
    expect(await processesMentioning(`${lab.directory}/lifeboat-drill-`)).toEqual([]);
  });
});

describe('a drill fails and names', () => {
  it('an exchanged signing key, at step 3', async () => {
    const report = await damagedAfter('restore-signing-keys', async ({ found }) => {
      const other = formatSigningKey({ keyId: 'ed25519:a_other', seed: new Secret(encodeBase64(newSeed())) });
      await writeFile(found.keyFiles![0]!.path, `${other}\n`);
    });
    expect(report).toMatchObject({ result: 'FAIL', exitStatus: 20 });
    expect(failed(report)).toEqual(['3 keys.fingerprint', '3 keys.old-events']);
    expect(check(report, 'keys.fingerprint').observed).toContain('ed25519:a_other');
    expect(report.steps[4]!.result).toBe('skip');
  });

  it('a missing media file', async () => {
    let path = '';
    const report = await damagedAfter('restore-media', async (context) => {
      path = await mediaFile(context);
      await rm(path);
    });
    expect(report.exitStatus).toBe(20);
    expect(failed(report)).toEqual(
      expect.arrayContaining(['2 media.as-in-manifest', '2 media.rows-have-files']),
    );
    expect(check(report, 'media.rows-have-files').detail![0]).toContain(path.split('/media_store/')[1]);
  });

  it('a cut media file, which the homeserver would hang on', async () => {
    const report = await damagedAfter('restore-media', async (context) =>
      truncate(await mediaFile(context), 10),
    );
    expect(failed(report)).toEqual(expect.arrayContaining(['2 media.as-in-manifest', '2 media.content']));
  });

  it('a media file with one flipped bit, which the homeserver would serve', async () => {
    const report = await damagedAfter('restore-media', async (context) => {
      const path = await mediaFile(context);
      const bytes = await readFile(path);
      bytes[bytes.length >> 1]! ^= 1;
      await writeFile(path, bytes);
    });
    expect(failed(report)).toEqual(expect.arrayContaining(['2 media.as-in-manifest', '2 media.content']));
  });

  it('a truncated table', async () => {
    const report = await damagedAfter(
      'restore-database',
      async (context) => void (await sql(context, 'TRUNCATE event_json')),
    );
    expect(failed(report)).toContain('1 database.rows-equal');
    expect(check(report, 'database.rows-equal').detail![0]).toContain('event_json');
  });

  it('an empty database, on which the homeserver would start happily', async () => {
    const report = await damagedAfter(
      'restore-database',
      async (context) => void (await sql(context, 'DROP SCHEMA public CASCADE; CREATE SCHEMA public')),
    );
    expect(failed(report)).toContain('1 database.homeserver');
    expect(report.steps[4]!.result).toBe('skip');
  });

  it('a changed message body', async () => {
    const report = await damagedAfter('restore-database', async (context) => {
      const changed = await sql(
        context,
        `UPDATE event_json SET json = replace(json, '"body":"', '"body":"no ') WHERE event_id IN
        (SELECT event_id FROM events WHERE type = 'm.room.message' AND sender LIKE '%:${context.source.serverName}' LIMIT 1) RETURNING event_id`,
      );
      expect(changed).toHaveLength(1);
    });
    expect(failed(report)).toEqual(expect.arrayContaining(['1 database.content-equal', '3 keys.old-events']));
    expect(check(report, 'database.content-equal').detail![0]).toContain('event_json');
    expect(check(report, 'keys.old-events').detail![0]).toMatch(/^\$/);
  });

  it('a dropped index', async () => {
    const report = await damagedAfter(
      'restore-database',
      async (context) => void (await sql(context, 'DROP INDEX events_order_room')),
    );
    expect(failed(report)).toEqual(['1 database.indexes-equal']);
    expect(check(report, 'database.indexes-equal').detail).toEqual([
      'events_order_room: expected present, observed missing',
    ]);
  });

  it('a homeserver that does not start, with the end of its log', async () => {
    const report = await damagedAfter('verify-configuration', async ({ found }) => {
      await writeFile(
        found.launch!.configFiles.at(-1)!,
        'database: {name: psycopg2, args: {host: /nowhere, dbname: nothing}}\n',
        { flag: 'a' },
      );
    });
    expect(report.exitStatus).toBe(20);
    expect(failed(report)[0]).toMatch(/^[45] /);
  });
});

async function processesMentioning(text: string): Promise<string[]> {
  const commands = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')),
  );
  return commands.filter((command) => command.includes(text) && command.startsWith('bwrap'));
}
