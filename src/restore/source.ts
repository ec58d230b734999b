import type { Readable } from 'node:stream';
import type { MediaContent } from '../media/restore.ts';
import type { Invariants, OtherDatabase, PhysicalBackup, PublicSigningKey } from '../repository/manifest.ts';

/**
 * Where a restore takes its contents from: a snapshot of a repository (`snapshot-source.ts`), or the files that people
 * have today, a dump, an rsynced folder, a copied key (`files-source.ts`). What is `undefined` is not known to the source
 * and cannot be compared; the report says so.
 */
export interface RestoreSource {
  /** Snapshot id, or `files`. */
  readonly id: string;
  /** For reports: the repository's location, or the dump's file name. */
  readonly description: string;
  readonly takenAt: Date | undefined;
  readonly serverName: string;
  readonly homeserverVersion: string | undefined;
  readonly postgresVersion: string | undefined;
  /** Major of the pg_dump that wrote its archives, where that is known: the pg_restore to be preferred. */
  readonly dumpMajor?: number;
  readonly invariants: Invariants | undefined;
  /** Tables that were dumped without rows, and therefore must be empty. */
  readonly excludedData: readonly string[];
  /** What the restored server must publish. */
  readonly publicKeys: readonly PublicSigningKey[] | undefined;
  /** Catalogue paths that had no file when the snapshot was taken already. */
  readonly knownMissingMedia: ReadonlySet<string>;
  /** Where another tool keeps the database: its backup, and the name of the database in that cluster. There are no dumps then. */
  readonly physical?: { readonly backup: PhysicalBackup; readonly database: string } | undefined;
  dumps(): readonly DumpFile[];
  /** Makes the roles and settings that the databases had, for people to read and run. */
  readonly rolesSql?: readonly string[];
  /** Of the auth service, of bridges and the like. */
  readonly databases?: readonly SourceDatabase[];
  media(): AsyncIterable<SourceMediaFile>;
  /** Of all media together: room for them is looked for before the first is written. */
  mediaBytes(): Promise<number>;
  /** Writes the files below the directory (0700), nothing if they are not what they should be. */
  placeKeys(directory: string): Promise<readonly PlacedFile[]>;
  placeConfig(directory: string): Promise<readonly PlacedFile[]>;
}

export interface SourceDatabase extends Pick<
  OtherDatabase,
  'label' | 'name' | 'encoding' | 'collate' | 'ctype' | 'excludedData' | 'invariants'
> {
  dumps(): readonly DumpFile[];
}

export interface DumpFile {
  readonly name: string;
  /** Undefined when the source does not know it; the SHA-256 in hex. */
  readonly content?: { readonly sizeBytes: number; readonly sha256: string };
  /** Which part of the database it is; undefined: all of it. */
  readonly section?: 'pre-data' | 'data' | 'post-data' | undefined;
  open(): Readable;
}

export interface SourceMediaFile extends MediaContent {
  /** Relative to the media store. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Hex; undefined when the source does not know it. */
  readonly sha256: string | undefined;
}

export interface PlacedFile {
  /** Where it lies now. */
  readonly path: string;
  /** Where it lay on the source machine; relative file names of `files` sources are made absolute. */
  readonly source: string;
  readonly role: string;
  /** The path by which the homeserver knew it, where that was another: it ran in a container. */
  readonly inside?: string;
}
