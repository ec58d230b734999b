import { LifeboatError } from '../../core/errors.ts';
import { findProgram, requireProgram, runCommand } from '../../exec/index.ts';
import { rsyncError } from './exit-codes.ts';
import type { Tree } from './tree.ts';

export interface Transfer {
  readonly source: Tree;
  readonly target: Tree;
  /** Of the target, to write into. */
  readonly folder: string;
  /** Of the target, beside `folder`: files that are the same there are linked instead of copied. */
  readonly previous: string | undefined;
  /** Bytes a second. */
  readonly bandwidthLimit: number | undefined;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Below the folder that is written: files that are not whole yet, which what a kill leaves must not be mixed up with. */
export const UNFINISHED = '.lifeboat-unfinished';
/** Beside each file: what of it came before the transfer was interrupted. */
export const PARTIAL = '.lifeboat-partial';

/**
 * These files of the source, by one rsync. Those that are not there are left out; files that vanished meanwhile come back.
 * `anew` copies even what looks the same. Errors: those of `RSYNC_EXITS`, `command-missing`, `interrupted`.
 */
export async function transfer(
  options: Transfer,
  paths: readonly string[],
  how: { readonly anew: boolean } = { anew: false },
): Promise<readonly string[]> {
  const { source, target, signal } = options;
  const remote = [source, target].find(({ remoteShell }) => remoteShell !== undefined);
  const argv = [...endingWithUs(), requireProgram('rsync'), ...flags(options, remote, how.anew)];
  const result = await runCommand(argv, { input: `${paths.join('\0')}\0`, signal });
  const { exitCode, stderr } = result;
  if (exitCode === 0) return [];
  if (exitCode === 24) return vanishedOf(stderr, paths);
  // Ctrl-C goes to the whole group, and rsync may be gone before we have heard of it.
  if (signal?.aborted === true) throw new LifeboatError('interrupted', 'rsync was interrupted');
  throw rsyncError(exitCode, stderr, remote?.location);
}

/**
 * rsync would go on by itself after our kill -9, beside the next backup. At SIGTERM it keeps what it has of a file
 * (--partial-dir), as it does not at SIGKILL.
 */
function endingWithUs(): string[] {
  const setpriv = process.platform === 'linux' ? findProgram('setpriv') : undefined;
  return setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'TERM', '--'];
}

function flags(
  { source, target, folder, previous, bandwidthLimit, timeoutMs }: Transfer,
  remote: Tree | undefined,
  anew: boolean,
): string[] {
  return [
    '--files-from=-',
    '--from0',
    // Missing ones are rows without file, told by looking at the target; 23 is left to real errors.
    '--ignore-missing-args',
    '--relative',
    // Not --archive: no owners, which would let accounts of the target's machine read what they must not, and no links or devices.
    '--times',
    '--omit-dir-times',
    '--perms',
    '--chmod=D700,F600',
    '--no-links',
    '--no-devices',
    '--no-specials',
    // Names go to the other machine in rsync's own protocol, not through its shell.
    '-s',
    `--temp-dir=${UNFINISHED}`,
    `--partial-dir=${PARTIAL}`,
    `--timeout=${Math.max(1, Math.ceil(timeoutMs / 1000))}`,
    ...(bandwidthLimit === undefined ? [] : [`--bwlimit=${Math.max(1, Math.round(bandwidthLimit / 1024))}`]),
    ...(anew ? ['--ignore-times'] : []),
    ...(previous === undefined || anew ? [] : [`--link-dest=../${previous}`]),
    ...(remote === undefined ? [] : ['--rsh', remote.remoteShell!]),
    '--',
    source.rsyncName(''),
    target.rsyncName(folder),
  ];
}

/** `file has vanished: "/srv/media/local_content/aa/bb/cc"`, with escapes for what cannot be printed. */
function vanishedOf(stderr: string, paths: readonly string[]): string[] {
  const named = [...stderr.matchAll(/^file has vanished: "(.*)"/gm)].map(([, name]) => name!);
  const endings = new Set(named.map((name) => name.split('/').at(-1)));
  // By the end of their names first: most batches are thousands of files.
  return paths.filter(
    (path) => endings.has(path.split('/').at(-1)) && named.some((name) => name.endsWith(`/${path}`)),
  );
}
