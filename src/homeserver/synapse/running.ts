import { readFile, readdir, readlink } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';

/** A Synapse main process of this machine, as /proc shows it. */
export interface RunningSynapse {
  readonly pid: number;
  /** Real user id: whoever started a set-uid program chose its arguments. */
  readonly uid: number;
  /** argv[0]: the interpreter of its virtual environment (the link, not what it points to, or the environment is lost). */
  readonly program: string | undefined;
  readonly workingDirectory: string;
  /** The `-c` arguments, absolute. */
  readonly configFiles: readonly string[];
}

/** Processes of other users show neither directory nor environment to an ordinary user; they are left out. */
export async function findRunningSynapse(procRoot = '/proc'): Promise<RunningSynapse[]> {
  const pids = (await readdir(procRoot).catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => inspect(join(procRoot, pid), Number(pid))));
  return found.filter((each) => each !== undefined);
}

async function inspect(directory: string, pid: number): Promise<RunningSynapse | undefined> {
  try {
    const argv = (await readFile(join(directory, 'cmdline'), 'utf8')).split('\0').slice(0, -1);
    if (!isMainProcess(argv)) return undefined;
    const workingDirectory = await readlink(join(directory, 'cwd'));
    return {
      pid,
      uid: realUid(await readFile(join(directory, 'status'), 'utf8')),
      program: programOf(argv, workingDirectory),
      workingDirectory,
      configFiles: configFilesOf(argv).map((path) => resolve(workingDirectory, path)),
    };
  } catch {
    return undefined;
  }
}

/** `Uid:` real, effective, saved, of the file system (proc_pid_status(5)). */
function realUid(status: string): number {
  const uid = /^Uid:\t(\d+)/m.exec(status)?.[1];
  if (uid === undefined) throw new Error('a process without user');
  return Number(uid);
}

/** `python -m synapse.app.homeserver ...` (systemd units, synctl) or the console script `synapse_homeserver`. */
function isMainProcess(argv: readonly string[]): boolean {
  return argv.some(
    (argument, index) =>
      (argument === 'synapse.app.homeserver' && argv[index - 1] === '-m') ||
      argument.endsWith('/synapse_homeserver'),
  );
}

function programOf([program]: readonly string[], workingDirectory: string): string | undefined {
  if (program === undefined || !program.includes('/')) return undefined;
  return isAbsolute(program) ? program : resolve(workingDirectory, program);
}

function configFilesOf(argv: readonly string[]): string[] {
  return argv.flatMap((argument, index) => {
    if (argument === '-c' || argument === '--config-path') return argv[index + 1] ?? [];
    return argument.startsWith('--config-path=') ? argument.slice('--config-path='.length) : [];
  });
}
