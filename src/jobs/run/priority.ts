import { readdir } from 'node:fs/promises';
import { setPriority } from 'node:os';
import type { Config } from '../../config/index.ts';
import { messageOf } from '../../core/errors.ts';
import { runCommand } from '../../exec/index.ts';

/** ionice(1), -c */
const IO_CLASSES = { 'best-effort': '2', idle: '3' } as const;

/**
 * Makes this process, and all that it starts from now on, give way to others. On Linux both figures belong to threads, not
 * processes (setpriority(2), ioprio_set(2)): all that are there are told, and later ones inherit. Resolves to what could not be
 * done, one sentence each: a backup at full speed is better than none.
 */
export async function applyPriority({ nice, io }: Config['priority']): Promise<string[]> {
  const problems: string[] = [];
  if (nice === undefined && io === undefined) return problems;
  const threads = (await readdir('/proc/self/task').catch(() => [String(process.pid)])).map(Number);
  if (nice !== undefined) {
    try {
      for (const thread of threads) setPriority(thread, nice);
    } catch (error) {
      problems.push(`priority.nice ${nice} could not be set: ${messageOf(error)}`);
    }
  }
  if (io !== undefined) {
    const level = io === 'idle' ? [] : ['-n', '7'];
    const argv = ['ionice', '-c', IO_CLASSES[io], ...level, '-p', ...threads.map(String)];
    try {
      await runCommand(argv, { check: true });
    } catch (error) {
      problems.push(`priority.io ${io} could not be set: ${messageOf(error)}`);
    }
  }
  return problems;
}
