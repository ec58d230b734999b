import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireLock, listLocks, removeLock } from '../../../src/jobs/run/index.ts';

let stateDirectory: string;
const clock = { now: () => new Date('2026-11-25T03:00:00Z'), monotonicMs: () => 0 };
const wanted = (more: object = {}) => ({
  stateDirectory,
  job: 'backup',
  runId: 'aaaa',
  repositoryId: 'repo',
  configFile: '/etc/lifeboat/lifeboat.yaml',
  clock,
  ...more,
});

beforeEach(async () => {
  stateDirectory = await mkdtemp(join(tmpdir(), 'lifeboat-lock-'));
});
afterEach(async () => {
  await rm(stateDirectory, { recursive: true });
});

/** Changes what stands in the only lock, as if somebody else had written it. */
async function rewrite(changes: object): Promise<void> {
  const { file } = (await listLocks(stateDirectory))[0]!;
  const owner = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, `${JSON.stringify({ ...owner, ...changes })}\n`);
}

/** A process id that is free again. */
async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await new Promise((resolve) => child.on('close', resolve));
  return child.pid!;
}

describe('a lock', () => {
  it('lets one run at a time, and says who it is and since when', async () => {
    const lock = await acquireLock(wanted());
    await expect(acquireLock(wanted({ runId: 'bbbb' }))).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringMatching(
        new RegExp(
          `^another backup is running: backup aaaa since 2026-11-25T03:00:00.000Z .*process ${process.pid} of`,
        ),
      ),
    });
    await lock.release();
    await (await acquireLock(wanted())).release();
    expect(await readdir(join(stateDirectory, 'locks'))).toEqual([]);
  });

  it('holds no other job, no other repository and no other lifeboat.yaml up', async () => {
    const locks = [
      await acquireLock(wanted()),
      await acquireLock(wanted({ job: 'prune' })),
      await acquireLock(wanted({ repositoryId: 'other' })),
      await acquireLock(wanted({ configFile: '/etc/lifeboat/other.yaml' })),
    ];
    for (const lock of locks) await lock.release();
  });

  it.each([
    ['whose process has ended', async () => ({ pid: await endedProcess() })],
    ['whose process id belongs to another one now', async () => ({ pid_started: '1' })],
    ['from before the machine was started again', async () => ({ boot_id: 'earlier' })],
  ])('%s is taken over, and that is told', async (_, changes) => {
    await acquireLock(wanted());
    await rewrite(await changes());
    const lock = await acquireLock(wanted({ runId: 'bbbb' }));
    expect(lock.tookOverFrom?.run_id).toBe('aaaa');
    expect((await listLocks(stateDirectory)).map(({ owner }) => owner?.run_id)).toEqual(['bbbb']);
  });

  it.each([
    ['of another machine', { hostname: 'elsewhere' }],
    ['of another container', { pid_namespace: 'pid:[1]' }],
  ])('%s is left alone, with the way out', async (_, changes) => {
    await acquireLock(wanted());
    await rewrite(changes);
    await expect(acquireLock(wanted())).rejects.toMatchObject({
      code: 'locked',
      hints: [expect.stringContaining('lifeboat unlock --force')],
    });
  });

  it('of another container that nobody has touched for an hour is taken over', async () => {
    await acquireLock(wanted());
    await rewrite({ hostname: 'a-container-that-is-gone' });
    const [{ file } = { file: '' }] = await listLocks(stateDirectory);
    const before = (minutes: number) => new Date(Date.now() - minutes * 60_000);
    await utimes(file, before(50), before(50));
    await expect(acquireLock(wanted())).rejects.toMatchObject({ code: 'locked' });
    await utimes(file, before(70), before(70));
    expect((await acquireLock(wanted())).tookOverFrom?.hostname).toBe('a-container-that-is-gone');
  });

  it('that nobody can read is left alone, and can be removed', async () => {
    await acquireLock(wanted());
    const [lock] = await listLocks(stateDirectory);
    await writeFile(lock!.file, 'torn');
    await expect(acquireLock(wanted())).rejects.toMatchObject({ code: 'locked' });
    const [torn] = await listLocks(stateDirectory);
    expect(await removeLock(torn!)).toBe(true);
    await (await acquireLock(wanted())).release();
  });

  it('is not released by who does not hold it any more', async () => {
    const first = await acquireLock(wanted());
    const [found] = await listLocks(stateDirectory);
    await removeLock(found!);
    await acquireLock(wanted({ runId: 'bbbb' }));
    await first.release();
    expect((await listLocks(stateDirectory)).map(({ owner }) => owner?.run_id)).toEqual(['bbbb']);
  });

  it('is had by one of many that begin at once, also when they take over a dead one', async () => {
    const pid = await endedProcess();
    for (let round = 0; round < 10; round += 1) {
      const first = await acquireLock(wanted());
      await rewrite({ pid });
      const tries = Array.from({ length: 20 }, (_, index) => acquireLock(wanted({ runId: `run-${index}` })));
      const results = await Promise.allSettled(tries);
      const had = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      expect(had).toHaveLength(1);
      await first.release();
      await had[0]!.release();
      expect(await readdir(join(stateDirectory, 'locks'))).toEqual([]);
    }
  });
});
