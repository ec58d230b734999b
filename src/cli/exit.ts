import { CommanderError } from 'commander';
import { ERROR_TABLE, LifeboatError, messageOf } from '../core/errors.ts';
import type { ExitName } from './definition.ts';

/** What each status means wherever it appears; commands add when it is theirs. docs/reference/exit-codes.md repeats this. */
export const EXIT_MEANING: Readonly<Record<ExitName, string>> = {
  ok: 'success',
  failed: 'it failed',
  usage: 'wrong usage or configuration; nothing was done',
  omissions: 'finished, but something was left out',
  noRepository: 'there is no repository, or one of another version',
  locked: 'somebody else is at work',
  wrongKey: 'a key or identity is missing or wrong',
  drillFailed: 'the drill ran, and a check failed',
  drillImpossible: 'the drill could not run',
  targetMissed: 'the drill passed, but missed the RTO or RPO target',
  preflightRefused: 'refused before anything was changed',
  softFail: 'not now: try again later',
  interrupted: 'interrupted; the next run works',
};

/** The one place that turns whatever was thrown into what is printed and the exit status. */
export function toLifeboatError(thrown: unknown): LifeboatError {
  if (thrown instanceof LifeboatError) return thrown;
  if (thrown instanceof CommanderError) return usageError(thrown);
  const { name, code } = (thrown ?? {}) as { name?: unknown; code?: unknown };
  if (name === 'AbortError' || code === 'ABORT_ERR')
    return new LifeboatError('interrupted', 'interrupted', { cause: thrown });
  if (code === 'ENOSPC')
    return new LifeboatError('disk-full', messageOf(thrown), {
      cause: thrown,
      hint: 'Free some space and run the command again.',
    });
  return new LifeboatError('internal', `unexpected: ${messageOf(thrown)}`, {
    cause: thrown,
    hint: 'This is a fault of lifeboat. Report it with the output of the same command and --verbose.',
  });
}

export function exitStatusOf(error: LifeboatError): number {
  return ERROR_TABLE[error.code].exit;
}

/** Commander's `error: unknown option '--jsn'\n(Did you mean --json?)` in our grammar. */
function usageError({ message }: CommanderError): LifeboatError {
  const [first = '', ...rest] = message.split('\n');
  const guess = /^\((Did you mean .*\?)\)$/.exec(rest.join(' ').trim())?.[1];
  const text = first
    .replace(/^error: /, '')
    .replace(/ argument missing$/, ' needs a value')
    .replace(/\. (It must be|Expected) /, (_, word: string) => `: ${word.toLowerCase()} `)
    .replace(/\.$/, '');
  return new LifeboatError('usage', text, {
    hint: [...(guess === undefined ? [] : [guess]), 'Run `lifeboat --help`, or `lifeboat COMMAND --help`.'],
  });
}
