import { chmod, lstat, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { LifeboatError, messageOf } from '../../core/errors.ts';

const PREFIX = 'lifeboat-drill-';
const OWNER_FILE = 'owner.json';
/** Nobody waits longer for a drill. */
const LONGEST_DRILL_MS = 7 * 24 * 3_600_000;
/** sun_path of unix(7), without the NUL at its end. */
const LONGEST_SOCKET_PATH = 107;
const LONGEST_SOCKET = `${PREFIX}XXXXXX/work/postgres/run/.s.PGSQL.5432`;

/**
 * A directory of its own for each drill, which says whose it is: when lifeboat is killed, everything that ran in it is
 * gone at once, but the files stay, and the next drill removes them. Errors: `drill-impossible`.
 */
export async function makeDrillDirectory(base: string): Promise<string> {
  const length = Buffer.byteLength(join(base, LONGEST_SOCKET));
  if (length > LONGEST_SOCKET_PATH) {
    throw new LifeboatError(
      'drill-impossible',
      `${base} is too long a path: its sockets would have ${length} bytes of ${LONGEST_SOCKET_PATH}`,
      {
        hint: 'Name a shorter directory in lifeboat.yaml as drill.work_directory.',
      },
    );
  }
  const directory = await mkdtemp(join(base, PREFIX)).catch((error: unknown) => {
    throw new LifeboatError('drill-impossible', `cannot make the drill's directory: ${messageOf(error)}`, {
      hint: 'Name a directory that lifeboat may write to in lifeboat.yaml as drill.work_directory.',
      cause: error,
    });
  });
  // Others may pass through, to what belongs to the drill's user, and may not look.
  await chmod(directory, 0o711);
  const owner = {
    pid: process.pid,
    startedAt: await startTimeOf(process.pid),
    where: await processIdsHere(),
  };
  await writeFile(join(directory, OWNER_FILE), JSON.stringify(owner), { mode: 0o600 });
  return directory;
}

/** Removes what drills that no longer run have left below `base`. Returns what was removed. */
export async function sweepAbandoned(base: string): Promise<string[]> {
  const removed: string[] = [];
  for (const name of await readdir(base).catch((): string[] => [])) {
    const directory = join(base, name);
    if (!name.startsWith(PREFIX) || !(await isOurs(directory)) || (await isInUse(directory))) continue;
    await removeDrillDirectory(directory);
    removed.push(directory);
  }
  return removed;
}

/** The owner file last: who is killed while removing leaves a directory that the next sweep still knows to be abandoned. */
export async function removeDrillDirectory(directory: string): Promise<void> {
  const names = await readdir(directory).catch((): string[] => []);
  for (const name of names) {
    // PostgreSQL may be writing its last file while it is ended.
    if (name !== OWNER_FILE)
      await rm(join(directory, name), { recursive: true, force: true, maxRetries: 10 });
  }
  await rm(directory, { recursive: true, force: true });
}

/** A directory of this name that somebody else made, or a link, is not ours to remove. */
async function isOurs(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  return found !== undefined && found.isDirectory() && found.uid === process.getuid?.();
}

async function isInUse(directory: string): Promise<boolean> {
  try {
    const owner = JSON.parse(await readFile(join(directory, OWNER_FILE), 'utf8')) as {
      pid: number;
      startedAt: string;
      where?: string;
    };
    // Another container on the same directory counts its processes itself: a number of there says nothing here.
    if (owner.where !== undefined && owner.where !== (await processIdsHere()))
      return await isYounger(directory, LONGEST_DRILL_MS);
    return (await startTimeOf(owner.pid)) === owner.startedAt;
  } catch {
    // No owner file: made this moment, or half removed. An hour decides.
    return await isYounger(directory, 3_600_000);
  }
}

async function isYounger(directory: string, ageMs: number): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs < ageMs;
}

/** The machine and the process namespace within which a process id means something. */
async function processIdsHere(): Promise<string> {
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return `${hostname()} ${namespace}`;
}

/** Start time in clock ticks, 22nd field of /proc/PID/stat (proc(5)): a process id alone may have been given anew. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}
