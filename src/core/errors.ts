/**
 * Every error a user can meet, as a table: code -> exit status, whether a retry can help, and where the manual explains it.
 * Commands never choose an exit status themselves; they throw a LifeboatError and `src/cli/exit.ts` maps it.
 */

/** Exit statuses (docs/reference/exit-codes.md). 75 is sysexits' EX_TEMPFAIL: try again later. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  omissions: 3,
  noRepository: 10,
  locked: 11,
  wrongKey: 12,
  drillFailed: 20,
  drillImpossible: 21,
  targetMissed: 22,
  preflightRefused: 30,
  softFail: 75,
  interrupted: 130,
} as const;

interface ErrorKind {
  readonly exit: (typeof EXIT)[keyof typeof EXIT];
  /** `transient`: the same call may succeed later; `permanent`: somebody has to change something first. */
  readonly retry: 'transient' | 'permanent';
}

const permanent = (exit: ErrorKind['exit']): ErrorKind => ({ exit, retry: 'permanent' });
const transient = (exit: ErrorKind['exit']): ErrorKind => ({ exit, retry: 'transient' });

export const ERROR_TABLE = {
  // usage and configuration
  usage: permanent(EXIT.usage),
  'config-missing': permanent(EXIT.usage),
  'config-invalid': permanent(EXIT.usage),
  'config-env-unset': permanent(EXIT.usage),
  'homeserver-config-invalid': permanent(EXIT.usage),
  'secret-unreadable': permanent(EXIT.usage),
  'recipient-invalid': permanent(EXIT.usage),
  // child processes and files
  'command-missing': permanent(EXIT.preflightRefused),
  'command-failed': permanent(EXIT.failed),
  'disk-full': permanent(EXIT.failed),
  'file-unreadable': permanent(EXIT.failed),
  'file-unwritable': permanent(EXIT.failed),
  interrupted: transient(EXIT.interrupted),
  // stores and repositories
  'store-unreachable': transient(EXIT.softFail),
  'store-denied': permanent(EXIT.preflightRefused),
  'object-missing': permanent(EXIT.failed),
  'object-locked': permanent(EXIT.failed),
  'repository-missing': permanent(EXIT.noRepository),
  'repository-exists': permanent(EXIT.preflightRefused),
  'repository-version': permanent(EXIT.noRepository),
  'repository-rolled-back': permanent(EXIT.failed),
  'repository-damaged': permanent(EXIT.failed),
  'copy-diverged': permanent(EXIT.failed),
  'identity-missing': permanent(EXIT.wrongKey),
  'identity-wrong': permanent(EXIT.wrongKey),
  'admin-key-missing': permanent(EXIT.wrongKey),
  'host-key-missing': permanent(EXIT.wrongKey),
  'key-file-mode': permanent(EXIT.wrongKey),
  'snapshot-missing': permanent(EXIT.failed),
  locked: transient(EXIT.locked),
  'archive-unsafe': permanent(EXIT.failed),
  // the admin's own programs around a job
  'hook-failed': permanent(EXIT.preflightRefused),
  'hook-postponed': transient(EXIT.softFail),
  // maintenance
  'maintenance-failed': permanent(EXIT.failed),
  // sources
  'database-unreachable': transient(EXIT.preflightRefused),
  'database-denied': permanent(EXIT.preflightRefused),
  'database-foreign': permanent(EXIT.preflightRefused),
  'database-client-old': permanent(EXIT.preflightRefused),
  'database-dump-failed': transient(EXIT.failed),
  'database-restore-failed': permanent(EXIT.failed),
  'external-backup-expired': permanent(EXIT.failed),
  'wal-missing': permanent(EXIT.failed),
  'server-name-mismatch': permanent(EXIT.preflightRefused),
  'media-unreadable': permanent(EXIT.preflightRefused),
  'media-changed': transient(EXIT.failed),
  'signing-key-missing': permanent(EXIT.preflightRefused),
  // restore and drill
  'target-not-empty': permanent(EXIT.preflightRefused),
  'target-unfit': permanent(EXIT.preflightRefused),
  'target-alive': permanent(EXIT.preflightRefused),
  'not-confirmed': permanent(EXIT.preflightRefused),
  'content-damaged': permanent(EXIT.failed),
  'drill-failed': permanent(EXIT.drillFailed),
  'drill-impossible': permanent(EXIT.drillImpossible),
  'not-sealed': permanent(EXIT.drillImpossible),
  'start-failed': permanent(EXIT.failed),
  internal: permanent(EXIT.failed),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_TABLE;

export interface ErrorOptions {
  /** What to do next, one imperative sentence each; printed as `hint:` lines. */
  readonly hint?: string | readonly string[];
  readonly cause?: unknown;
  /** File, line, field, object name ...: for `--json` readers. Never a secret. */
  readonly context?: Readonly<Record<string, string | number | boolean>>;
}

/** The only error class thrown on purpose. The message is lower case, without a full stop, and names the file, field or object. */
export class LifeboatError extends Error {
  override readonly name = 'LifeboatError';
  readonly code: ErrorCode;
  readonly hints: readonly string[];
  readonly context: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hints =
      options.hint === undefined ? [] : typeof options.hint === 'string' ? [options.hint] : options.hint;
    this.context = options.context ?? {};
  }

  get exitStatus(): number {
    return ERROR_TABLE[this.code].exit;
  }

  get transient(): boolean {
    return ERROR_TABLE[this.code].retry === 'transient';
  }
}

export function isLifeboatError(error: unknown, code?: ErrorCode): error is LifeboatError {
  return error instanceof LifeboatError && (code === undefined || error.code === code);
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
