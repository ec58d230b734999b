import { execFile } from 'node:child_process';
import { access, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { EXIT } from '../../src/core/errors.ts';
import { newestClient } from '../../src/database/index.ts';
import type { LabSynapse } from '../../src/demo/lab/index.ts';
import { register } from '../../src/demo/world/client.ts';
import { drill, type DrillOptions } from '../../src/jobs/drill.ts';
import { silent } from '../../src/observe/index.ts';
import { filesSource } from '../../src/restore/files-source.ts';
import type { DrillReport } from '../../src/verify/report/model.ts';
import { PYTHON, startLab, type Lab } from './backed-up-world.ts';

/** A dump in plain SQL can run programs (psql, `\!`): what it can do to the machine that drills it. */
let lab: Lab;
let home: LabSynapse;
let dump: string;

beforeAll(async () => {
  lab = await startLab();
  home = await lab.startServer('home');
  const person = await register(home.clientUrl, home.registrationSecret, 'alice', 'Alice');
  const roomId = await person.createRoom({ name: 'private' });
  await person.send(roomId, 'm.room.message', { msgtype: 'm.text', body: 'hello' });
  await person.upload(new Uint8Array(5000).fill(7), 'application/octet-stream', 'file');
  const { host, port, user, database, password } = home.database;
  const { path } = await newestClient('pg_dump');
  const argv = ['--no-owner', '-h', host, '-p', String(port), '-U', user, database];
  const env = { ...process.env, PGPASSWORD: password!.reveal() };
  ({ stdout: dump } = await promisify(execFile)(path, argv, { env, maxBuffer: 100_000_000 }));
});

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

it('a dump that puts links where lifeboat is about to write gets nothing written outside, and does not stop the drill', async () => {
  const outside = join(lab.directory, 'outside');
  await mkdir(outside);
  const names = [
    'media_store',
    'keys',
    'config',
    'peer',
    'dump-1',
    'log.yaml',
    'tls.key',
    'listen-8448.sock',
  ];
  const hostile = [
    String.raw`\! touch ran`,
    ...names.map((name) => String.raw`\! ln -s ${outside}/${name} ../${name} 2>/dev/null`),
    String.raw`\! mv ../dump-0 ../moved 2>/dev/null`,
    String.raw`\! (for n in 1 2 3 4 5 6 7 8 9; do ln -sfn ${outside} ../media_store; sleep 1; done) >/dev/null 2>&1 &`,
  ];
  const file = join(lab.directory, 'hostile.sql');
  // Newer versions of pg_dump forbid such commands between these two; whoever makes a hostile dump leaves them out.
  const sql = dump.replaceAll(/^\\(un)?restrict .*$/gm, '');
  await writeFile(file, sql.replace('--\n-- PostgreSQL database dump complete', `${hostile.join('\n')}\n$&`));
  let ran = false;
  const report = await drillOf(file, async (environment) => {
    ran = await access(join(environment.home, 'ran')).then(
      () => true,
      () => false,
    );
  });
  expect(ran).toBe(true);
  expect(await readdir(outside)).toEqual([]);
  const failed = report.steps.flatMap(({ checks }) => checks.filter(({ result }) => result === 'fail'));
  expect(failed).toEqual([]);
  expect(report.result).toBe('PASS');
});

it("a link that a dump puts in place of the homeserver's log shows the report nothing of the machine", async () => {
  const closed = join(lab.directory, 'closed');
  await mkdir(closed, { mode: 0o700 });
  await writeFile(join(closed, 'secret'), 'CANARY-of-the-host\n', { mode: 0o600 });
  const log = '../logs/homeserver.log';
  const exchange = `rm -f ${log}; ln -s ${closed}/secret ${log}; pkill -9 -f synapse.app.homeserver`;
  const hostile = `\\! (while sleep 0.1; do if [ -e ${log} ]; then ${exchange}; fi; done) >/dev/null 2>&1 &`;
  const file = join(lab.directory, 'log.sql');
  const sql = dump.replaceAll(/^\\(un)?restrict .*$/gm, '');
  await writeFile(file, sql.replace('--\n-- PostgreSQL database dump complete', `${hostile}\n$&`));
  const report = await drillOf(file);
  expect(report.steps.find(({ id }) => id === 'start-services')?.error).toMatchObject({
    code: 'start-failed',
  });
  expect(JSON.stringify(report)).not.toContain('CANARY');
});

it('a dump that is cut fails the drill in step 1 alone; what needs the database is not run', async () => {
  const file = join(lab.directory, 'cut.sql');
  await writeFile(file, dump.slice(0, dump.length / 2));
  const report = await drillOf(file);
  expect(report).toMatchObject({ result: 'FAIL', exitStatus: EXIT.drillFailed });
  const [first, ...others] = report.steps;
  expect(first?.error).toMatchObject({
    code: 'content-damaged',
    message: expect.stringContaining('it is cut'),
  });
  expect(others.filter(({ result }) => result === 'fail')).toEqual([]);
  const skipped = others.flatMap(({ checks }) => checks.filter(({ result }) => result === 'skip'));
  expect(skipped.map(({ id }) => id)).toEqual(
    expect.arrayContaining(['media.rows-have-files', 'keys.old-events', 'test-federation.skipped']),
  );
});

async function drillOf(dumpFile: string, onRunning?: DrillOptions['onRunning']): Promise<DrillReport> {
  return await drill({
    source: await filesSource({
      dump: dumpFile,
      media: home.mediaDirectory,
      signingKey: home.signingKeyFile,
      config: [home.configFile],
    }),
    program: PYTHON,
    settings: { peer: false, timeoutMs: 300_000, workDirectory: lab.directory, postgresDirectory: undefined },
    clientDirectory: undefined,
    keep: false,
    clock: systemClock,
    progress: silent,
    ...(onRunning === undefined ? {} : { onRunning }),
  });
}
