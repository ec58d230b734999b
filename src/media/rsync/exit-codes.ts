import { LifeboatError, type ErrorCode } from '../../core/errors.ts';
import { maskSecrets } from '../../core/secret.ts';
import { connectionError } from '../../storage/sftp/ssh-errors.ts';

/** What an exit status of rsync(1) means, and what to do about it. */
export interface ExitMeaning {
  readonly code: ErrorCode;
  readonly meaning: string;
  readonly hint: string;
}

const LINE: ErrorCode = 'store-unreachable';
const AGAIN = 'Run the backup again: what was transferred is kept.';

/** Every status of rsync(1), and those of the shell and ssh that come out as rsync's. 0 and 24 are no failures. */
export const RSYNC_EXITS: Readonly<Record<number, ExitMeaning>> = {
  1: {
    code: 'command-failed',
    meaning: 'it did not understand its options',
    hint: 'Use rsync 3.2 or newer on both sides.',
  },
  2: {
    code: 'command-failed',
    meaning: 'the two sides speak different protocols',
    hint: 'Use rsync 3.2 or newer on both sides, and let no login script print anything.',
  },
  3: {
    code: 'command-failed',
    meaning: 'a folder that it was told to read or write is not there, or not permitted',
    hint: 'Look at media.path, media.rsync.source and media.rsync.place.',
  },
  4: {
    code: 'command-failed',
    meaning: 'one side cannot do what was asked for',
    hint: 'Use rsync 3.2 or newer on both sides.',
  },
  5: {
    code: LINE,
    meaning: 'the two sides could not begin to speak',
    hint: 'Try rsync by hand between the two machines.',
  },
  6: {
    code: 'command-failed',
    meaning: 'a daemon could not write its log',
    hint: 'Look at the log of the other machine.',
  },
  10: { code: LINE, meaning: 'the network failed', hint: AGAIN },
  11: {
    code: 'file-unwritable',
    meaning: 'a file could not be read or written',
    hint: 'Look for errors of the disk (dmesg) and at the quota of the account, on both machines.',
  },
  12: {
    code: LINE,
    meaning: 'the connection broke, or the other side printed something that is not rsync',
    hint: 'Make sure that rsync is installed there, and that no login script prints anything; then run the backup again.',
  },
  13: { code: 'command-failed', meaning: 'it failed inside', hint: 'Look at the lines of rsync.' },
  14: {
    code: 'command-failed',
    meaning: 'its processes lost each other',
    hint: `Look for a lack of memory. ${AGAIN}`,
  },
  20: { code: 'interrupted', meaning: 'somebody ended it', hint: AGAIN },
  21: { code: 'command-failed', meaning: 'one of its processes was lost', hint: AGAIN },
  22: { code: 'command-failed', meaning: 'it ran out of memory', hint: 'Give the machines more memory.' },
  23: {
    code: 'command-failed',
    meaning: 'some files could not be transferred',
    hint: 'Correct what the lines of rsync say: most often the account may not read the media, or not write at the place.',
  },
  25: {
    code: 'command-failed',
    meaning: 'it would have deleted too much',
    hint: 'Report this: it was not asked to delete.',
  },
  30: {
    code: LINE,
    meaning: 'nothing was transferred for longer than media.rsync.timeout',
    hint: 'Look at the line and the disks; raise media.rsync.timeout where a disk needs to wake up.',
  },
  35: { code: LINE, meaning: 'the other side did not answer in time', hint: AGAIN },
  127: {
    code: 'command-missing',
    meaning: 'there is no rsync on the other machine',
    hint: 'Install it there: apt-get install rsync',
  },
  255: { code: LINE, meaning: 'ssh failed', hint: 'Try ssh to the other machine by hand.' },
};

/** Those of ssh, which only then has said what is wrong. */
const OF_SSH = new Set([12, 255]);
const LINES_SHOWN = 5;

/** `location`: of the side on another machine, if there is one. `stderr`: of rsync and ssh. */
export function rsyncError(exitCode: number, stderr: string, location: string | undefined): LifeboatError {
  const context = { program: 'rsync', exitCode };
  if (/No space left on device|Disk quota exceeded/.test(stderr))
    return new LifeboatError('disk-full', `rsync: the place is full: ${linesOf(stderr)}`, {
      hint: 'Free space there, or prune older snapshots; then run the backup again: what was transferred is kept.',
      context,
    });
  const spoke = /^rsync: \[/m.test(stderr);
  if (location !== undefined && OF_SSH.has(exitCode) && !spoke) {
    const error = connectionError(location, withoutSummary(stderr));
    if (error.code === 'store-denied') return error;
  }
  const { code, meaning, hint } = RSYNC_EXITS[exitCode] ?? {
    code: 'command-failed' as const,
    meaning: exitCode < 0 ? 'it was ended by a signal' : 'an exit status that rsync(1) does not know',
    hint: AGAIN,
  };
  const said = linesOf(stderr);
  const message = `rsync ended with ${exitCode}: ${meaning}${said === '' ? '' : `: ${said}`}`;
  return new LifeboatError(code, message, { hint, context });
}

/** The first lines are those that name files; the last one only repeats the exit status. */
function linesOf(stderr: string): string {
  const lines = withoutSummary(stderr)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const more = lines.length > LINES_SHOWN ? ` / and ${lines.length - LINES_SHOWN} more lines` : '';
  return maskSecrets(lines.slice(0, LINES_SHOWN).join(' / ') + more);
}

function withoutSummary(stderr: string): string {
  return stderr.replaceAll(/^rsync error: .*$/gm, '');
}
