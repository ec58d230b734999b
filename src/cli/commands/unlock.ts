import { EXIT } from '../../core/errors.ts';
import { formatDuration } from '../../core/units.ts';
import { listLocks, removeLock, type FoundLock } from '../../jobs/run/index.ts';
import { defineCommand } from '../definition.ts';
import { formatTime, table } from '../terminal.ts';

const STATES = { yes: 'running', no: 'ended', unknown: 'of another machine or container' } as const;

export const unlockCommand = defineCommand<{ force?: true; dryRun?: true }>({
  name: 'unlock',
  summary: 'show who is at work, and remove the locks of runs that have ended',
  description:
    'A backup or prune holds a lock in the state directory while it runs, so that it runs once at a time. The next run takes over ' +
    'the lock of one that was killed by itself; this command is for locks that nobody on this machine can judge, because another ' +
    'machine or container wrote them. Removing the lock of a run that goes on loses no data: both end up in the repository.',
  arguments: [],
  options: [
    { flags: '--force', description: 'remove all locks, also of those that run or cannot be judged' },
    { flags: '-n, --dry-run', description: 'only show them' },
  ],
  examples: [
    { command: 'lifeboat unlock --dry-run', meaning: 'Is a backup running, and since when?' },
    { command: 'lifeboat unlock --force', meaning: 'The container that wrote the lock is gone for good.' },
  ],
  exits: { locked: 'locks of runs that go on, or cannot be judged, were left' },
  run: async ({ options }, { place, output, clock }) => {
    const { stateDirectory } = await place();
    const now = clock.now();
    const rows = [['JOB', 'SINCE', 'AGE', 'OWNER', 'STATE', '']];
    let left = 0;
    const locks = await listLocks(stateDirectory);
    for (const lock of locks) {
      const remove = options.dryRun !== true && (lock.alive === 'no' || options.force === true);
      const removed = remove && (await removeLock(lock));
      if (!removed && lock.alive !== 'no') left += 1;
      rows.push(rowOf(lock, removed, now));
      const { alive, owner, file } = lock;
      output.message('lock', { ...owner, file, alive, removed });
    }
    output.print(locks.length === 0 ? 'no locks' : table(rows));
    output.message('summary', { command: 'unlock', locks: locks.length, left });
    return left > 0 && options.dryRun !== true ? EXIT.locked : EXIT.ok;
  },
});

function rowOf({ owner, alive, file }: FoundLock, removed: boolean, now: Date): string[] {
  const done = removed ? 'removed' : '';
  if (owner === undefined) return ['?', '', '', file, 'unreadable', done];
  const since = new Date(owner.started_at);
  return [
    owner.job,
    formatTime(since),
    formatDuration(Math.max(0, now.getTime() - since.getTime())),
    `process ${owner.pid} of ${owner.user} on ${owner.hostname}`,
    STATES[alive],
    done,
  ];
}
