import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from '../../config/zod.ts';

/** What this machine was filling, so that the next run goes on with it instead of copying everything again. */
const schema = z.strictObject({
  target: z.string(),
  partial: z.string(),
  pid: z.int(),
  /** Of the process, by the kernel: a number is given again to another one. */
  started: z.string(),
});

/** The partial generation that an earlier run has left at this target; undefined when there is none, or it still runs. */
export function leftBehind(file: string, target: string): string | undefined {
  try {
    const found = schema.parse(JSON.parse(readFileSync(file, 'utf8')));
    const runs = found.pid !== process.pid && startOf(found.pid) === found.started;
    return found.target === target && !runs ? found.partial : undefined;
  } catch {
    return undefined;
  }
}

/** A disk that is full costs no more than copying again. */
export function rememberRunning(file: string, target: string, partial: string): void {
  const value = { target, partial, pid: process.pid, started: startOf(process.pid) };
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.new`, JSON.stringify(value), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  } catch {
    // As above.
  }
}

/** Field 22 of proc_pid_stat(5); empty where there is no such process, or no such file system. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
