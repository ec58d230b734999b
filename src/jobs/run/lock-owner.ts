import { readFile, readlink } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';

/** Who holds a lock, as it stands in the file. */
export interface LockOwner {
  readonly job: string;
  readonly run_id: string;
  readonly pid: number;
  /** Clock ticks after boot (proc(5), starttime): the same number belongs to another process later. */
  readonly pid_started: string;
  readonly pid_namespace: string;
  /** Changes with every start of the machine (random(4)). */
  readonly boot_id: string;
  readonly hostname: string;
  readonly user: string;
  /** ISO 8601. */
  readonly started_at: string;
}

export async function thisProcess(job: string, runId: string, now: Date): Promise<LockOwner> {
  return {
    job,
    run_id: runId,
    pid: process.pid,
    pid_started: (await startOf(process.pid)) ?? '',
    ...(await here()),
    user: userName(),
    started_at: now.toISOString(),
  };
}

/** `unknown` where this machine cannot tell: the process is of another machine, or of another container. */
export async function isAlive(owner: LockOwner): Promise<'yes' | 'no' | 'unknown'> {
  const now = await here();
  if (owner.hostname !== now.hostname) return 'unknown';
  if (owner.boot_id !== now.boot_id) return 'no';
  if (owner.pid_namespace !== now.pid_namespace) return 'unknown';
  return (await startOf(owner.pid)) === owner.pid_started ? 'yes' : 'no';
}

const TEXTS = [
  'job',
  'run_id',
  'pid_started',
  'pid_namespace',
  'boot_id',
  'hostname',
  'user',
  'started_at',
] as const;

export function parseOwner(text: string): LockOwner | undefined {
  try {
    const owner = JSON.parse(text) as Record<string, unknown>;
    const whole =
      Number.isSafeInteger(owner['pid']) && TEXTS.every((name) => typeof owner[name] === 'string');
    return whole && !Number.isNaN(Date.parse(String(owner['started_at'])))
      ? (owner as unknown as LockOwner)
      : undefined;
  } catch {
    return undefined;
  }
}

async function here(): Promise<Pick<LockOwner, 'boot_id' | 'pid_namespace' | 'hostname'>> {
  const [bootId, namespace] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => ''),
    readlink('/proc/self/ns/pid').catch(() => ''),
  ]);
  return { boot_id: bootId.trim(), pid_namespace: namespace, hostname: hostname() };
}

/** The 22nd field; the second is the program's name in brackets, which may hold anything. One that nobody has waited for has ended. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  const [state = 'Z', ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return text === '' || state === 'Z' ? undefined : fields[18];
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? '?');
  }
}
