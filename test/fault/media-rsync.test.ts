import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { REPOSITORY, rsyncRun } from '../media/rsync/run.ts';

const CHILD = new URL('media-rsync-child.ts', import.meta.url).pathname;
const LARGE = 'local_content/aa/bb/large';
/** At a MiB a second: long enough to be met on the way. */
const SIZE = 16 * 1024 * 1024;

it('a backup by rsync that is killed on the way takes rsync with it, and the next goes on within the same file', async () => {
  const run = rsyncRun();
  run.add(LARGE, randomBytes(SIZE));
  const argv = [CHILD, run.source, run.place, run.state, LARGE, `${SIZE}`];
  const child = spawn(process.execPath, argv, { stdio: 'ignore' });
  const exit = once(child, 'exit');
  const folder = join(run.place, REPOSITORY);
  await expect.poll(() => bytesBelow(folder), { interval: 10, timeout: 30_000 }).toBeGreaterThan(1024 * 1024);
  child.kill('SIGKILL');
  await exit;
  await expect.poll(() => rsyncsAt(run.source), { interval: 10, timeout: 10_000 }).toBe(0);
  expect(run.generations()).toEqual([]);
  const [partial] = readdirSync(folder);
  const kept = statSync(join(folder, partial!, 'local_content/aa/bb/.lifeboat-partial/large'));
  expect(kept.size).toBeGreaterThan(512 * 1024);

  const { files, messages, component } = await run.backUp();
  expect(messages).toContain('going on with what an interrupted run has transferred');
  expect(component).toMatchObject({ files: 1, bytes: SIZE, missing: [] });
  expect(files[0]!.sha256).toBe(run.rows[0]!.sha256);
  expect(run.generations()).toHaveLength(1);
  expect(readdirSync(folder)).toEqual(run.generations());
  expect(existsSync(join(folder, run.generations()[0]!, 'local_content/aa/bb/.lifeboat-partial'))).toBe(
    false,
  );
});

function bytesBelow(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, entry) =>
        sum + (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
}

/** Processes of rsync that have this path on their command line. */
function rsyncsAt(path: string): number {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return program!.endsWith('rsync') && args.some((each) => each.startsWith(path));
    } catch {
      return false;
    }
  }).length;
}
