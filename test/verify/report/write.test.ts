import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { collectLogs, REPORT_FORMATS, writeReport, writeReports } from '../../../src/verify/report/index.ts';
import { hostile, passReport } from './fixture.ts';
import { unzip } from './unzip.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-report-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe('writing reports', () => {
  it('writes each format under a name that sorts by time, for the owner alone', async () => {
    const paths = await writeReports(passReport, join(directory, 'reports'), REPORT_FORMATS);
    expect(Object.values(paths).map((path) => basename(path))).toEqual(
      ['html', 'json', 'md', 'junit.xml', 'zip'].map((ending) => `drill-20261123T030007Z-4f2a81c3.${ending}`),
    );
    for (const path of Object.values(paths)) expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('writes the report as it is into JSON, with the name of its schema', async () => {
    const { json } = await writeReports(passReport, directory, ['json']);
    expect(JSON.parse(await readFile(json!, 'utf8'))).toEqual({
      schema: 'lifeboat-drill-report/1',
      ...passReport,
    });
  });

  it('lets no name lead out of the directory', async () => {
    const report = hostile({
      ...passReport,
      snapshot: { ...passReport.snapshot, id: '../../../etc/passwd' },
    });
    await writeReports({ ...report, startedAt: '../../x' }, directory, ['json']);
    expect(await readdir(directory)).toHaveLength(1);
  });

  it('bundles the renderings and the logs, without secrets, and follows no link among the logs', async () => {
    const logs = join(directory, 'logs');
    const canary = new Secret('canary-8e1f0c');
    await mkdir(logs);
    await writeFile(join(logs, 'homeserver.log'), `started with ${canary.reveal()}\n`);
    await symlink('/etc/passwd', join(logs, 'passwd.log'));
    const { zip } = await writeReports(passReport, directory, ['zip'], { logs: await collectLogs(logs) });
    const files = unzip(await readFile(zip!));
    expect([...files.keys()]).toEqual([
      'report.html',
      'report.json',
      'report.md',
      'report.junit.xml',
      'logs/homeserver.log',
    ]);
    expect(files.get('logs/homeserver.log')!.toString()).toBe('started with [secret]\n');
    expect(files.get('report.html')!.toString()).toContain('chat.example.org');
  });

  it('has no logs where nothing was started', async () => {
    expect(await collectLogs(join(directory, 'nothing'))).toEqual([]);
  });

  it('writes one rendering to a path of the user’s choice', async () => {
    const path = join(directory, 'ci', 'drill.xml');
    await writeReport(passReport, 'junit', path);
    expect(await readFile(path, 'utf8')).toMatch(/^<\?xml version="1\.0"/);
  });

  it('names the place that cannot be written', async () => {
    await writeFile(join(directory, 'file'), '');
    await expect(writeReports(passReport, join(directory, 'file'), ['md'])).rejects.toMatchObject({
      code: 'file-unwritable',
    });
  });
});
