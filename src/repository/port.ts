import type { Readable } from 'node:stream';
import type { ArchivedFile, ArchiveRef, Content, Manifest, MediaFile } from './manifest.ts';

/** What jobs, restore and verify need of a repository. Formats: docs/repository-format.md. */
export interface Repository {
  readonly id: string;
  readonly location: string;
  /** True when an identity that opens packs and manifests was given. */
  readonly canRead: boolean;
  /** From the log: oldest first, without any key. Forgotten snapshots are left out. */
  snapshots(): Promise<readonly SnapshotEntry[]>;
  /** `latest`, `latest-proven`, a full id, or an unambiguous prefix of at least 4 digits. Errors: `snapshot-missing`. */
  resolve(name: string): Promise<SnapshotEntry>;
  /** Errors: `host-key-missing`, `repository-rolled-back`, `repository-damaged`. */
  startBackup(): Promise<BackupWriter>;
  /** Needs an identity. Errors: `identity-missing`, `identity-wrong`, `repository-damaged`. */
  manifest(snapshotId: string): Promise<Manifest>;
  /** Opens the data key, and nothing else. Errors: as `manifest`. */
  requireReadable(): Promise<void>;
  /** In path order. */
  mediaFiles(snapshotId: string): AsyncIterable<MediaFile>;
  /** In the order in which reading all of their contents opens each pack as seldom as possible. */
  mediaFilesByPack(snapshotId: string): AsyncIterable<MediaFile>;
  /** Content in order; fails (never ends early) when a blob is missing or damaged. */
  read(content: Content): Readable;
  /** All of a content that is one blob, as verified as `read`; undefined of one that was cut. */
  readWhole(content: Content): Promise<Uint8Array | undefined>;
  /** The decrypted tar. */
  readArchive(archive: ArchiveRef): Readable;
  /** Structure (log chain, signatures, names = hashes, references); with `readData` every byte or a share of the packs. No key needed. */
  check(options: CheckOptions): Promise<CheckResult>;
  /**
   * Signed by the admin key. `guard` sees the snapshots as they are at the last moment, with everything that others have
   * recorded meanwhile, and throws when they may not be forgotten any more.
   */
  forget(
    snapshotIds: readonly string[],
    reasons: Readonly<Record<string, string>>,
    guard?: (snapshots: readonly SnapshotEntry[]) => void,
  ): Promise<void>;
  pin(snapshotId: string, pinned: boolean): Promise<void>;
  /** Errors: `store-denied`: the account may only add, as far as its store tells without deleting anything. */
  requireMayDelete(): Promise<void>;
  prune(options: PruneOptions): Promise<PruneResult>;
  /** Writes index segments for what no readable one describes. Errors: `identity-missing`, `identity-wrong`, `repository-damaged`. */
  repairIndex(options: RepairIndexOptions): Promise<RepairIndexResult>;
  /** Evidence of a drill or verify, as a log record. */
  recordEvidence(evidence: Evidence): Promise<void>;
  /**
   * Lets these open everything, old snapshots too: the data key is sealed anew, no data is. Needs a recovery identity, and the
   * admin key. Resolves to all recipients in force. Errors: `recipient-invalid`, `identity-missing`, `identity-wrong`, `admin-key-missing`.
   */
  addRecipients(recipients: readonly string[]): Promise<readonly RecoveryRecipient[]>;
  /** The same the other way round. age cannot revoke: who has opened the data key before may have kept it. */
  removeRecipients(recipients: readonly string[]): Promise<readonly RecoveryRecipient[]>;
  /**
   * What a restore by hand needs besides the contents: lifeboat.json, RECOVER.md, recover.sh, and the sealed data key under its
   * own name. Each has the hash that was signed. Errors: `repository-damaged`.
   */
  recoveryFiles(): Promise<ReadonlyMap<string, Uint8Array>>;
  /** Who can open and sign what; public values only. */
  keys(): Promise<KeyListing>;
}

export interface SnapshotEntry {
  readonly id: string;
  readonly seq: number;
  readonly time: Date;
  readonly hostname: string;
  readonly serverName: string;
  /** Totals of what the snapshot holds, and what was new with it, in bytes stored. */
  readonly files: number;
  readonly bytes: number;
  readonly newBytes: number;
  readonly pinned: boolean;
  /** Newest drill evidence, if any. */
  readonly drill: { readonly time: Date; readonly result: 'PASS' | 'FAIL' } | undefined;
  readonly tags: readonly string[];
  /** Of its record, by the store's clock. */
  readonly storedAt: Date | undefined;
  /** A drill recorded with the admin key has passed, and none recorded with it has failed since. */
  readonly provenByAdmin: boolean;
}

/** A running backup. Nothing of it is visible to anybody before `commit` resolves. */
export interface BackupWriter {
  readonly snapshotId: string;
  /** Content-defined chunks: for dump streams. Calls may overlap, each holds some 4 MiB. Rejects when the source stream fails. */
  addStream(source: Readable): Promise<Content>;
  /** Whole-file blobs below a bound, fixed pieces above: for media. */
  addFile(source: Readable, sizeBytes: number): Promise<Content>;
  /** A whole file at hand, of at most 8 MiB; the memory may be used again when the call resolves. */
  addBytes(content: Uint8Array): Promise<Content>;
  /** The content of a file already stored, found by its SHA-256 (hex) alone, without reading it. */
  known(sha256: string, sizeBytes: number): Content | undefined;
  /** Streams into the media shards of the manifest; call in path order. */
  addMedia(file: MediaFile): Promise<void>;
  /** A tar of these files, sealed as an age file of its own. */
  addArchive(files: readonly ArchiveInput[]): Promise<ArchiveRef>;
  /** Packs, index, manifest, record: durable and visible when this resolves. */
  commit(
    manifest: Omit<
      Manifest,
      'version' | 'snapshotId' | 'startedAt' | 'finishedAt' | 'hostname' | 'lifeboatVersion'
    >,
    tags?: readonly string[],
    /** Called right before the record is written; when it rejects, there is no snapshot. */
    lastCheck?: () => Promise<void>,
  ): Promise<CommitResult>;
  /** Stops; what was uploaded stays as garbage that the next run reuses or prune removes. */
  abort(): Promise<void>;
}

export type ArchiveInput = Omit<ArchivedFile, 'sizeBytes' | 'sha256'> & { readonly body: Uint8Array };

export interface CommitResult {
  readonly entry: SnapshotEntry;
  readonly newBlobs: number;
  readonly reusedBlobs: number;
  readonly newPacks: number;
  /** Bytes written to the store by this run, all object classes. */
  readonly storedBytes: number;
  /** Why not all that the snapshot needs is protected by Object Lock for longer; undefined: it is, or was not asked for. */
  readonly unprotected: string | undefined;
}

/** Packs to be read: one of `of` disjoint parts (1..of), a share (0..1) or so many bytes of them chosen at random. */
export type PackSample =
  | 'none'
  | 'all'
  | { readonly part: number; readonly of: number }
  | { readonly share: number }
  | { readonly bytes: number };

export interface CheckOptions {
  readonly readData: PackSample;
  /** Also decrypt, decompress and compare every blob id (needs an identity). */
  readonly decrypt?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface CheckResult {
  readonly ok: boolean;
  readonly findings: readonly CheckFinding[];
  readonly objects: number;
  /** Of objects of all kinds. */
  readonly bytesRead: number;
  readonly snapshots: number;
  /** Those that are there. */
  readonly packs: PackCount;
  readonly packsRead: PackCount;
  /** By Object Lock, of what the snapshots need and of the log; undefined where the store has none. */
  readonly protection: Protection | undefined;
}

export interface Protection {
  readonly objects: number;
  /** Of these: now, or never were. */
  readonly unprotected: number;
  /** When the first and the last of the protected ones can be deleted; undefined when there is none. */
  readonly earliest: Date | undefined;
  readonly latest: Date | undefined;
}

export interface PackCount {
  readonly count: number;
  readonly bytes: number;
}

export interface CheckFinding {
  readonly severity: 'error' | 'warning';
  readonly object: string;
  readonly problem: string;
  /** What it means and what to do. */
  readonly consequence: string;
  readonly snapshots: readonly string[];
}

export interface PruneOptions {
  readonly dryRun: boolean;
  /** Unreferenced objects younger than this are left alone. */
  readonly graceMs: number;
  /** Between two deletions; the next prune goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface PruneResult {
  readonly markedObjects: number;
  readonly deletedObjects: number;
  /** Marked, but still under Object Lock: a later prune deletes them. */
  readonly lockedObjects: number;
  readonly freedBytes: number;
}

export interface RepairIndexOptions {
  /** Says what would be read, and reads no pack. */
  readonly dryRun: boolean;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RepairIndexResult {
  readonly packs: number;
  /** In no readable segment. */
  readonly undescribedPacks: number;
  readonly undescribedBytes: number;
  readonly damagedSegments: readonly DamagedObject[];
  /** Of the undescribed ones: left out. */
  readonly damagedPacks: readonly DamagedObject[];
  readonly newSegments: number;
}

export interface DamagedObject {
  readonly key: string;
  readonly problem: string;
}

/** One that cannot be restored whole. */
export interface BrokenSnapshot {
  readonly id: string;
  readonly objects: readonly DamagedObject[];
}

export interface Evidence {
  readonly type: 'drill' | 'verify';
  readonly snapshotId: string;
  readonly result: 'PASS' | 'FAIL';
  readonly summary: Readonly<Record<string, string | number>>;
}

export interface RecoveryRecipient {
  /** `age1...` */
  readonly recipient: string;
  /** Number of the log record that made it one; 1 is `init`. */
  readonly since: number;
}

export interface KeyListing {
  /** Their identities open everything. */
  readonly recipients: readonly RecoveryRecipient[];
  /** `keys/<sha256>.age`: the data key, sealed to them. */
  readonly dataKeyObject: string;
  /** What all contents are sealed to. */
  readonly dataRecipient: string;
  /** The host's: opens the index, nothing else. */
  readonly indexRecipient: string;
  /** Ed25519, 64 hex digits. */
  readonly hostPublicKey: string;
  readonly adminPublicKey: string;
}
