/**
 * What a snapshot is made of. The manifest is encrypted to the recovery recipients; zod schemas of the same names stand in
 * `manifest-schema.ts` and validate everything that is read back. All sizes are bytes, all times ISO 8601 UTC.
 */

/** A byte stream kept in the repository: its blobs in order, and the SHA-256 (hex) of the whole. */
export interface Content {
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Blob ids (64 hex digits). */
  readonly blobs: readonly string[];
}

export interface Manifest {
  readonly version: 1;
  readonly snapshotId: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly hostname: string;
  readonly lifeboatVersion: string;
  readonly homeserver: { readonly kind: string; readonly version: string; readonly serverName: string };
  readonly database: DatabaseComponent;
  /** Those of the auth service, of bridges and the like, of the same instant as near as PostgreSQL allows. */
  readonly databases?: readonly OtherDatabase[] | undefined;
  /** No two instants of the databases are further apart. Absent where there is one. */
  readonly skewMs?: number | undefined;
  readonly media: MediaComponent;
  readonly keys: KeysComponent;
  readonly config: ConfigComponent;
  readonly warnings: readonly string[];
}

export interface DatabaseComponent {
  /** `postgres`: our dumps. `pgbackrest`: a backup in pgBackRest's own repository, `physical`, and no dumps. */
  readonly engine: 'postgres' | 'pgbackrest';
  readonly name: string;
  readonly serverVersion: string;
  readonly clientVersion: string;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly extensions: readonly string[];
  readonly owner: string;
  /** When the exported snapshot was taken: the instant of the recovery set. */
  readonly snapshotAt: string;
  /** In the order in which they are to be restored. */
  readonly dumps: readonly DatabaseDumpFile[];
  /** Tables dumped without their rows. */
  readonly excludedData: readonly string[];
  readonly invariants: Invariants;
  /** How the instant was captured; snapshots of earlier versions do not say. */
  readonly capture?: Capture | undefined;
  /** Of the write-ahead log, right after the snapshot was taken: `0/16B3748`. Absent in older snapshots. */
  readonly walPosition?: string | undefined;
  /** What of the cluster belongs to the database and is in no dump of it. Absent in older snapshots. */
  readonly cluster?: ClusterFacts | undefined;
  /** Only with an engine that keeps its backups elsewhere. */
  readonly physical?: PhysicalBackup | undefined;
}

export interface ClusterFacts {
  /** By whose rules text is ordered: `libc`, `icu`, `builtin`. */
  readonly localeProvider: string;
  /** Of `icu` and `builtin`. */
  readonly locale?: string | undefined;
  /** Of the database's collation when it was made; not before PostgreSQL 15, and never of C. */
  readonly collationVersion?: string | undefined;
  /** Collations in use of which the system has another version than the one that indexes were built with. */
  readonly collationDrift: readonly string[];
  readonly tablespaces: readonly string[];
  /** That own something in the database, were granted something there, or are members of these. Without passwords. */
  readonly roles: readonly RoleFacts[];
  readonly settings: readonly RoleSetting[];
}

export interface RoleFacts {
  readonly name: string;
  /** As CREATE ROLE takes them: `LOGIN`, `CONNECTION LIMIT 5`. */
  readonly attributes: readonly string[];
  readonly memberOf: readonly { readonly role: string; readonly admin: boolean }[];
}

/** ALTER ROLE ... SET, ALTER DATABASE ... SET. */
export interface RoleSetting {
  /** Null: of the database. */
  readonly role: string | null;
  /** Of the role in this database only. */
  readonly inDatabase: boolean;
  readonly name: string;
  /** Null: not recorded, because it may be a secret. */
  readonly value: string | null;
}

export interface Capture {
  readonly source: 'primary' | 'standby';
  /** Of a standby: the position that it had replayed, and the age of the last transaction it had. */
  readonly replayLsn?: string | undefined;
  readonly replayLagSeconds?: number | undefined;
  /** 1: at once. */
  readonly attempts: number;
  /** Why it was begun again: `pile-up`, `lock`, `standby`, `lost`, `schema`. */
  readonly setbacks: readonly string[];
}

/** A pg_dump custom-format archive, uncompressed. */
export interface DatabaseDumpFile {
  readonly name: string;
  readonly content: Content;
  /** Undefined: the whole database. Archives of `data` can be restored beside each other, between the other two. */
  readonly section?: 'pre-data' | 'data' | 'post-data' | undefined;
  /** Of `data`: the rows of these (`"public"."events"`); undefined: all that stands in no other archive, sequences too. */
  readonly tables?: readonly string[] | undefined;
}

/** A database that is not the homeserver's: its invariants have no facts, and names with their schema (`public.users`). */
export interface OtherDatabase extends DatabaseComponent {
  /** Unique in the manifest; the name of its copy in a drill. */
  readonly label: string;
}

/** A physical backup that another tool keeps, and the point of the write-ahead log (WAL) that it is to be recovered to. */
export interface PhysicalBackup {
  /** Of pgBackRest: `2.45`. */
  readonly version: string;
  readonly stanza: string;
  readonly repo: number;
  /** `20261125-163808F_20261125-163819I` */
  readonly label: string;
  readonly type: 'full' | 'diff' | 'incr';
  /** Of the cluster, decimal: more digits than a JavaScript number holds. */
  readonly systemId: string;
  /** The bootstrap superuser of the cluster: who a drill connects as. */
  readonly superuser: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Of the whole cluster, and what of it this backup added to pgBackRest's repository. */
  readonly clusterBytes: number;
  readonly storedBytes: number;
  /** Names of the WAL segments that the backup needs to be consistent. */
  readonly walStart: string;
  readonly walStop: string;
  readonly target: RecoveryTarget;
}

/** The instant of the invariants. */
export interface RecoveryTarget {
  /** Everything before it, and nothing from it on: `recovery_target_lsn` with `recovery_target_inclusive = off`. */
  readonly lsn: string;
  /** The segment that holds it; its first 8 digits are the timeline. */
  readonly walFile: string;
  readonly walSegmentBytes: number;
  /** `pg_current_snapshot()` of the snapshot that was measured: tells in the restored cluster what else was committed. */
  readonly snapshot: string;
}

/**
 * Facts measured inside the exported snapshot. After a restore they must be equal (sequences: at least).
 * Generic Postgres facts (tables, sequences, objects) and those of the homeserver kind (facts, newest event).
 */
export interface Invariants {
  /** Rows of every table of the schema `public`. */
  readonly tableRows: Readonly<Record<string, number>>;
  /** last_value of every sequence. */
  readonly sequences: Readonly<Record<string, number>>;
  /** Names, so that a dropped index is named, not only counted. */
  readonly indexes: readonly string[];
  readonly constraints: readonly string[];
  readonly triggers: readonly string[];
  /** Kind-specific: users, rooms, events, schema_version, stream maxima ... */
  readonly facts: Readonly<Record<string, number | string>>;
  /** Order-independent digests of the content of tables that matter most (table -> hex), so that a changed value is found. */
  readonly digests: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch; null in an empty server. */
  readonly newestEventTs: number | null;
}

/** With `repository` their contents are blobs; with the others they are files at an external place, and `blobs` is empty. */
export type MediaComponent = MediaTotals &
  (
    | { readonly strategy: 'repository' }
    | { readonly strategy: 'rsync' | 's3-sync'; readonly external: ExternalPlace }
  );

/** Where the media of one snapshot lie in clear, outside of the repository. */
export interface ExternalPlace {
  /** As `repository.path` of lifeboat.yaml: an absolute directory, `sftp:USER@HOST:/PATH`, `s3:https://HOST/BUCKET/PREFIX`. */
  readonly place: string;
  /** Relative to the place, with `/`: what the path of a media file is appended to. */
  readonly generation: string;
}

export interface MediaTotals {
  /** Totals of the files; the rows themselves stream (`Repository.mediaFiles`), they are never held in one array. */
  readonly files: number;
  readonly bytes: number;
  /** Catalogue rows whose file was not there, and files without row; each list is cut at 1,000 entries, the counts are not. */
  readonly missing: readonly string[];
  readonly missingCount: number;
  readonly orphans: readonly string[];
  readonly orphanCount: number;
  /** What clients call them, `mxc://server/id`, each once (a path where no id is known); also rows whose file is gone, but in here. Not in snapshots of older versions. */
  readonly missingUris?: readonly string[] | undefined;
  readonly orphanUris?: readonly string[] | undefined;
  /** When orphans were last looked for, and every row's file: not every backup does. ISO 8601. */
  readonly comparedAt: string;
}

/** One file of the media component. `path` is relative to the media store, with `/`, without `..`. */
export interface MediaFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly blobs: readonly string[];
  /** `local_content`, `local_thumbnails`, ... */
  readonly mediaClass: string;
  /** Of a file in a bucket (`s3-sync`): the version of the object, and its name where that is not the path. */
  readonly object?:
    { readonly key?: string | undefined; readonly versionId?: string | undefined } | undefined;
}

/** A tar in an age file of its own (`archives/<sha256>.age`), so that keys can be recovered with two commands. */
export interface ArchiveRef {
  readonly object: string;
  readonly sizeBytes: number;
  readonly files: readonly ArchivedFile[];
}

export interface ArchivedFile {
  /** Path inside the tar, relative. */
  readonly path: string;
  /** Absolute path on the source machine. */
  readonly source: string;
  /**
   * `signing-key`, `homeserver-config`, `included-config`, `worker-config`, `log-config`, `appservice`, `tls-certificate`, `tls-key`,
   * `secret`, `reverse-proxy`, `well-known`, `environment`, `service-unit`, `extra`, `other`.
   */
  readonly role: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly mode: number;
  /** Absent: `file`. A directory and a link have no content: size 0, the hash of nothing. Links only of the role `extra`. */
  readonly type?: 'file' | 'directory' | 'symlink' | undefined;
  /** Of a symlink: where it leads, as it stood. */
  readonly target?: string | undefined;
  /** Who owned it; snapshots from before they were kept do not say. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Names, where the source machine had one for the number. */
  readonly owner?: string | undefined;
  readonly group?: string | undefined;
  /** The path by which the homeserver knows it, where that is another: it runs in a container. */
  readonly inside?: string | undefined;
}

export interface KeysComponent {
  readonly archive: ArchiveRef;
  /** Public halves, in clear: what the restored server must publish. */
  readonly public: readonly PublicSigningKey[];
  /** Ready to be pasted into a new server's homeserver.yaml if the private key is ever lost. */
  readonly oldSigningKeys: string;
}

export interface PublicSigningKey {
  /** `ed25519:a_Kcaf` */
  readonly keyId: string;
  /** Unpadded base64. */
  readonly publicKey: string;
}

export interface ConfigComponent {
  readonly archive: ArchiveRef;
  /** Names and places of secrets that live only in the configuration; never their values. */
  readonly secrets: readonly { readonly name: string; readonly file: string }[];
}
