import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('repository-child.ts', import.meta.url));

/** A system call of a trial run that changes or syncs files. */
export interface Point {
  readonly syscall: string;
  /** The how manieth of its thread: what strace counts. */
  readonly number: number;
}

export type Fault = 'signal=KILL' | 'error=EIO' | 'error=ENOSPC';

export interface Traced {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly stderr: string;
  /** strace's lines: `THREAD syscall(arguments) = result`. */
  readonly calls: readonly string[];
}

const SYSCALLS = ['mkdir', 'write', 'fchmod', 'fsync', 'link', 'unlink', 'rename'];

export interface Work {
  readonly directory: string;
  readonly root: string;
  readonly mode: 'backup' | 'prune';
  readonly seed: string;
}

/** Runs repository-child.ts under strace, which lets the call at this point fail, or kills the process before it. */
export async function traced(work: Work, point?: Point, fault?: Fault): Promise<Traced> {
  const folder = await mkdtemp(join(tmpdir(), 'lifeboat-traced-'));
  try {
    const log = join(folder, 'strace');
    const calls = point === undefined ? SYSCALLS.join(',') : point.syscall;
    const inject =
      point === undefined ? [] : ['-e', `inject=${point.syscall}:${fault!}:when=${point.number}`];
    const child = [process.execPath, CHILD, work.directory, work.root, work.mode, work.seed, 'never'];
    const args = ['-f', '-y', '-qq', '-o', log, '-e', `trace=${calls}`, ...inject, ...child];
    // One thread does the file system calls, so that the same number means the same call in the next run, or nearly.
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
    const running = spawn('strace', args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    running.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    const ended = await new Promise<Pick<Traced, 'code' | 'signal'>>((resolve, reject) => {
      running.on('error', reject);
      running.on('close', (code, signal) => resolve({ code, signal }));
    });
    return { ...ended, stderr, calls: (await readFile(log, 'utf8')).split('\n') };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** By path or, as `-y` shows it, by descriptor: not the pipes and event descriptors by which threads wake each other. */
const OF_A_FILE = /^\d+ +\w+\((\d+<\/|")/;

/** All the points of a run. */
export function pointsOf({ calls }: Traced): Point[] {
  const counts = new Map<string, number>();
  return calls.flatMap((line) => {
    const [, thread, syscall] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (thread === undefined || syscall === undefined) return [];
    const number = (counts.get(`${thread} ${syscall}`) ?? 0) + 1;
    counts.set(`${thread} ${syscall}`, number);
    return OF_A_FILE.test(line) ? [{ syscall, number }] : [];
  });
}

/** Whether the fault hit a file; libuv ends the process when it cannot wake a thread. */
export function hitFile({ calls }: Traced): boolean {
  return calls.some((line) => line.endsWith('(INJECTED)') && OF_A_FILE.test(line));
}
