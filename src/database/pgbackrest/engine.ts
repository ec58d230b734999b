import { join } from 'node:path';
import type { PgBackRestSettings } from '../../config/index.ts';
import { eachConcurrently } from '../../core/each-concurrently.ts';
import { LifeboatError } from '../../core/errors.ts';
import type { KeptBackup, PhysicalEngine, WalArchive } from '../engine.ts';
import { parseInfo, parseSegments, type BackupInfo, type StanzaInfo } from './info.ts';
import { callPgBackRest, requirePgBackRest, saidOf } from './program.ts';
import { segmentsBetween } from './wal-segment.ts';

/** `auto`: a full backup when the newest full one is as old. */
const FULL_EVERY_MS = 7 * 24 * 3600_000;
/** pgBackRest starts a process and opens the store for each. */
const FETCHED_AT_ONCE = 4;
/** archive-get: the segment is not in the repository (pgBackRest, src/command/archive/get/get.c). */
const NOT_FOUND = 1;
const SET_UP =
  'See what `pgbackrest check` says as the owner of the cluster; docs/pgbackrest.md tells how it is set up.';

/** pgBackRest, by its own program, with its own configuration. */
export function pgBackRest(settings: PgBackRestSettings): PhysicalEngine {
  const info = async (): Promise<StanzaInfo> => {
    const call = { command: 'info', options: ['--output=json'] };
    const failure = { code: 'database-dump-failed', hint: SET_UP } as const;
    return parseInfo(await requirePgBackRest(settings, call, failure), settings.stanza);
  };
  const find = async (label: string): Promise<KeptBackup> => {
    const stanza = await info();
    const found = backupsOf(stanza, settings).find((backup) => backup.label === label);
    if (found !== undefined) return keptBackup(found, stanza, settings);
    throw new LifeboatError(
      'external-backup-expired',
      `external backup expired: pgBackRest's repository ${settings.repo} has no backup ${label} of stanza ${settings.stanza} any more`,
      {
        hint: 'Use a newer snapshot, and let repo-retention-full of pgBackRest keep as much as retention in lifeboat.yaml.',
        context: { stanza: settings.stanza, label },
      },
    );
  };
  return {
    name: `pgBackRest, stanza ${settings.stanza}`,
    find,
    backup: async (signal) => {
      const before = backupsOf(await info(), settings);
      const type = typeOf(settings.type, before);
      if (type !== undefined) {
        const call = { command: 'backup', options: [`--type=${type}`], asOwner: true, signal };
        await requirePgBackRest(settings, call, { code: 'database-dump-failed', hint: SET_UP });
      }
      const stanza = await info();
      const newest = backupsOf(stanza, settings).at(-1);
      if (newest === undefined || (type !== undefined && newest.label === before.at(-1)?.label))
        throw new LifeboatError(
          'database-dump-failed',
          `pgBackRest has no ${type === undefined ? '' : 'new '}backup of stanza ${settings.stanza}`,
          {
            hint: SET_UP,
          },
        );
      return keptBackup(newest, stanza, settings);
    },
    archiveUpToNow: async (signal) => {
      const call = { command: 'check', asOwner: true, signal };
      await requirePgBackRest(settings, call, { code: 'database-dump-failed', hint: SET_UP });
    },
    verify: async (signal) => {
      const result = await callPgBackRest(settings, { command: 'verify', signal });
      return result.exitCode === 0 && result.stderr.trim() === '' ? undefined : saidOf(result);
    },
    restoreInto: async (directory, label, { directory: scratch, signal }) => {
      // Whatever its configuration says for a real restore: nothing is written but below the two directories.
      const options = [
        `--pg1-path=${directory}`,
        `--set=${label}`,
        '--type=none',
        `--tablespace-map-all=${join(scratch, 'tablespaces')}`,
        `--lock-path=${join(scratch, 'lock')}`,
        ...['--no-link-all', '--reset-link-map', '--reset-tablespace-map', '--no-delta'],
        ...['--reset-db-include', '--reset-db-exclude', '--reset-recovery-option'],
      ];
      const hint = 'Look at the repository with `pgbackrest verify`; this user must be able to read it.';
      const failure = { code: 'database-restore-failed', hint } as const;
      await requirePgBackRest(settings, { command: 'restore', options, signal }, failure);
    },
    fetchWal: (directory, segments, { signal }) =>
      eachConcurrently(segments, FETCHED_AT_ONCE, async (segment) => {
        const result = await callPgBackRest(settings, {
          command: 'archive-get',
          options: [`--pg1-path=${directory}`, '--no-archive-async'],
          parameters: [segment, join(directory, 'pg_wal', segment)],
          signal,
        });
        if (result.exitCode === 0) return;
        const why =
          result.exitCode === NOT_FOUND ? 'is not in the archive' : `cannot be had: ${saidOf(result)}`;
        throw new LifeboatError('wal-missing', `WAL segment ${segment} of stanza ${settings.stanza} ${why}`, {
          hint: 'Without it this snapshot cannot be recovered to its instant. Back up again, and find out why the archive has a gap.',
          context: { segment, stanza: settings.stanza },
        });
      }),
    wal: async (from, segmentBytes) => await walArchive(settings, await info(), from, segmentBytes),
  };
}

/** Oldest first, of the repository that is set up; one that pgBackRest itself calls damaged is none. */
function backupsOf(stanza: StanzaInfo, { repo }: PgBackRestSettings): BackupInfo[] {
  return stanza.backup.filter(({ database, error }) => database['repo-key'] === repo && error !== true);
}

function typeOf(wanted: PgBackRestSettings['type'], backups: readonly BackupInfo[]): string | undefined {
  if (wanted === 'newest') return undefined;
  if (wanted !== 'auto') return wanted;
  const full = backups.findLast(({ type }) => type === 'full');
  const fresh = full !== undefined && full.timestamp.stop * 1000 > Date.now() - FULL_EVERY_MS;
  return fresh ? 'incr' : 'full';
}

function keptBackup(found: BackupInfo, stanza: StanzaInfo, settings: PgBackRestSettings): KeptBackup {
  const { archive, timestamp } = found;
  const cluster = stanza.db.find(
    (db) => db.id === found.database.id && db['repo-key'] === found.database['repo-key'],
  );
  if (archive.start === null || archive.stop === null || cluster === undefined)
    throw new LifeboatError('database-dump-failed', `the backup ${found.label} was made without its WAL`, {
      hint: 'Remove archive-check=n and online=n from the configuration of pgBackRest.',
    });
  return {
    version: found.backrest.version,
    stanza: stanza.name,
    repo: settings.repo,
    label: found.label,
    type: found.type,
    systemId: cluster['system-id'],
    startedAt: new Date(timestamp.start * 1000).toISOString(),
    finishedAt: new Date(timestamp.stop * 1000).toISOString(),
    clusterBytes: found.info.size,
    storedBytes: found.info.repository.delta,
    walStart: archive.start,
    walStop: archive.stop,
  };
}

/** From the list of files, not from `max`, which says nothing of what is between. */
async function walArchive(
  settings: PgBackRestSettings,
  stanza: StanzaInfo,
  from: string,
  segmentBytes: number,
): Promise<WalArchive> {
  const archive = stanza.archive.findLast(({ database }) => database['repo-key'] === settings.repo);
  const newest = archive?.max ?? undefined;
  if (archive === undefined || newest === undefined)
    throw new LifeboatError('wal-missing', `the archive of stanza ${settings.stanza} is empty`, {
      hint: SET_UP,
    });
  const wanted = segmentsBetween(from, newest, segmentBytes);
  const there = new Map<string, Date>();
  for (const folder of new Set([...wanted, newest].map((segment) => segment.slice(0, 16)))) {
    const path = `archive/${settings.stanza}/${archive.id}/${folder}`;
    const call = { command: 'repo-ls', options: ['--output=json'], parameters: [path] };
    const text = await requirePgBackRest(settings, call, { code: 'wal-missing', hint: SET_UP });
    for (const [segment, at] of parseSegments(text)) there.set(segment, at);
  }
  const missing = wanted.filter((segment) => !there.has(segment));
  return { newest, newestAt: there.get(newest) ?? new Date(0), missing };
}
