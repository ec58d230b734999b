import type { PhysicalBackup } from '../repository/manifest.ts';

/**
 * A tool that keeps physical backups of a whole cluster in a place of its own, with the WAL that leads from one to the next.
 * One implementation today (pgbackrest/engine.ts); WAL-G or Barman would be another. What it says is read from its JSON.
 */
export interface PhysicalEngine {
  /** `pgBackRest 2.45, stanza main` */
  readonly name: string;
  /** Takes a backup, or leans on the newest there is, as it is set up. Errors: `database-dump-failed`, `command-missing`. */
  backup(signal?: AbortSignal): Promise<KeptBackup>;
  /** Ends the WAL segment that is being written and waits until it is archived. Errors: `database-dump-failed`. */
  archiveUpToNow(signal?: AbortSignal): Promise<void>;
  /** Errors: `external-backup-expired` when it is not there any more. */
  find(label: string): Promise<KeptBackup>;
  /** Reads the whole repository of the tool and compares it with its checksums. Returns what is wrong. */
  verify(signal?: AbortSignal): Promise<string | undefined>;
  /** Writes the files of a cluster into an empty directory; recovery is for whoever starts it. Errors: `database-restore-failed`. */
  restoreInto(directory: string, label: string, scratch: Scratch): Promise<void>;
  /** Writes WAL segments by name into the `pg_wal` of a restored cluster. Errors: `wal-missing` naming the first that is not there. */
  fetchWal(directory: string, segments: readonly string[], scratch: Scratch): Promise<void>;
  /** How far the archive goes, and what is missing between `from` and there. */
  wal(from: string, segmentBytes: number): Promise<WalArchive>;
}

/** Where a restore may write beside the cluster, and when it stops. */
export interface Scratch {
  /** Locks of the tool, and tablespaces. */
  readonly directory: string;
  readonly signal?: AbortSignal | undefined;
}

/** What the tool itself knows of a backup. */
export type KeptBackup = Omit<PhysicalBackup, 'target' | 'superuser'>;

export interface WalArchive {
  readonly newest: string;
  /** When the newest segment came into the archive. */
  readonly newestAt: Date;
  /** Of one timeline. */
  readonly missing: readonly string[];
}
