import { basename } from 'node:path';
import { LifeboatError } from '../core/errors.ts';
import { maskSecrets } from '../core/secret.ts';
import { commandMissing } from './find-program.ts';

/** What every child has in common. */
export interface ChildOptions {
  /** Added to the minimal environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Numeric ids to run as; only root can. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** Between SIGTERM and SIGKILL, in ms. */
export const GRACE_MS = 5000;

/** Not our whole environment: it may hold secrets that the child has no business with. */
const PASSED_ON = [
  'PATH',
  'HOME',
  'TZ',
  'TMPDIR',
  'USER',
  'LOGNAME',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'NODE_EXTRA_CA_CERTS',
];

function childEnvironment(given: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = PASSED_ON.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), LANG: 'C.UTF-8', ...given };
}

/** execa's options with our rules: never a shell, never throws by itself, ends with us. */
export function ruled({ uid, gid, cwd, signal, env }: ChildOptions) {
  return {
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
    env: childEnvironment(env),
    extendEnv: false,
    reject: false,
    cleanup: true,
    forceKillAfterDelay: GRACE_MS,
    stripFinalNewline: false,
  } as const;
}

/** As execa wants it. */
export function programOf([program, ...args]: readonly string[]): [string, string[]] {
  if (program === undefined) throw new RangeError('argv is empty');
  return [program, args];
}

interface Ended {
  readonly failed: boolean;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly timedOut?: boolean;
  readonly isCanceled?: boolean;
  readonly code?: string | undefined;
}

/** EACCES is also what the kernel says when the PATH leads through a directory that is closed to us (execvp(3)). */
export function neverStarted({ code }: Ended): boolean {
  return code === 'ENOENT' || code === 'EACCES';
}

/** One error for all ways to fail; carries the last lines of stderr, never the arguments. */
export function childError(argv: readonly string[], result: Ended, stderr: string): LifeboatError {
  const name = basename(argv[0] ?? '');
  if (neverStarted(result)) return commandMissing(name);
  if (result.isCanceled === true) return new LifeboatError('interrupted', `${name} was interrupted`);
  const how =
    result.timedOut === true
      ? 'took too long'
      : result.signal === undefined
        ? `failed with exit status ${result.exitCode ?? 'unknown'}`
        : `was ended by ${result.signal}`;
  const said = lastLines(stderr);
  return new LifeboatError('command-failed', `${name} ${how}${said === '' ? '' : `: ${said}`}`, {
    context: { program: name, exitCode: result.exitCode ?? -1 },
  });
}

/** The end of what a child said, on one line and without secrets. */
function lastLines(text: string, count = 5): string {
  const lines = text.split('\n').map((line) => line.trim());
  return maskSecrets(
    lines
      .filter((line) => line !== '')
      .slice(-count)
      .join(' / '),
  );
}
