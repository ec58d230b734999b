import type { PgBackRestSettings } from '../../config/index.ts';
import { isLifeboatError, LifeboatError, messageOf, type ErrorCode } from '../../core/errors.ts';
import { findProgram, runCommand, type CommandResult } from '../../exec/index.ts';

export interface Call {
  readonly command: string;
  readonly options?: readonly string[];
  readonly parameters?: readonly string[];
  /** As the owner of the cluster, who alone may read it. */
  readonly asOwner?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Its messages go to standard error, its output to standard output; nothing is written into its log files as another user. */
const QUIET = ['--log-level-console=off', '--log-level-stderr=error', '--log-level-file=off'];

/** Runs pgBackRest to its end, whatever its status. Errors: `command-missing`, `interrupted`. */
export async function callPgBackRest(settings: PgBackRestSettings, call: Call): Promise<CommandResult> {
  const { stanza, config, repo, program, runAs } = settings;
  const { command, options = [], parameters = [], asOwner = false, signal } = call;
  const becoming =
    asOwner && runAs !== undefined && process.getuid?.() === 0
      ? ['setpriv', `--reuid=${runAs}`, `--regid=${runAs}`, '--init-groups', '--']
      : [];
  const argv = [
    ...becoming,
    findProgram(program) ?? program,
    ...(config === undefined ? [] : [`--config=${config}`]),
    `--stanza=${stanza}`,
    ...(command === 'check' ? [] : [`--repo=${repo}`]),
    ...QUIET,
    ...options,
    command,
    ...parameters,
  ];
  // Of the caller's working directory it needs nothing, and its user may not enter it.
  return await runCommand(argv, { cwd: '/', signal });
}

/** The first line of an error: `ERROR: [082]: WAL segment ... was not archived before the 60000ms timeout`. */
export function saidOf({ stderr, exitCode }: CommandResult): string {
  const error = stderr.split('\n').find((line) => line.startsWith('ERROR:'));
  return error?.replace(/^ERROR: /, '') ?? (stderr.trim().split('\n')[0] || `status ${exitCode}`);
}

/** Runs it, and fails with this code when its status is not 0. Returns its standard output. */
export async function requirePgBackRest(
  settings: PgBackRestSettings,
  call: Call,
  failure: { readonly code: ErrorCode; readonly hint: string },
): Promise<string> {
  const result = await callPgBackRest(settings, call).catch((error: unknown) => {
    if (!isLifeboatError(error, 'command-missing')) throw error;
    throw new LifeboatError('command-missing', messageOf(error), {
      hint: 'Install it: apt-get install pgbackrest, or name it in lifeboat.yaml as database.pgbackrest.program.',
      cause: error,
    });
  });
  if (result.exitCode === 0) return result.stdout;
  throw new LifeboatError(failure.code, `pgbackrest ${call.command} failed: ${saidOf(result)}`, {
    hint: failure.hint,
    context: { stanza: settings.stanza, exitCode: result.exitCode },
  });
}
