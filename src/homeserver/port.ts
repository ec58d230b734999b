import type { Secret } from '../core/secret.ts';
import type { PostgresTarget, PostgresSession } from '../database/port.ts';
import type { PublicSigningKey } from '../repository/manifest.ts';
import type { MediaBucket, MediaCatalogue } from '../media/port.ts';

/** One kind of homeserver: how it is found, what belongs to it, what must be true of it, how it is started harmless. */
export interface Homeserver {
  readonly kind: 'synapse';
  /** Reads the configuration and everything that it names. Writes nothing, connects nowhere. */
  discover(options: DiscoverOptions): Promise<Inventory>;
  /** Tables whose rows must not come back. */
  readonly excludedTableData: readonly string[];
  /** Kind-specific facts, inside the caller's transaction. Errors: `database-foreign`, `server-name-mismatch`. */
  facts(db: PostgresSession, inventory: Pick<Inventory, 'serverName'>): Promise<KindFacts>;
  /** The fact `schema_version` as it is now, without measuring the others. */
  schemaVersion(db: PostgresSession): Promise<number>;
  /** Of these media classes; by default what cannot be fetched again: local content and thumbnails. */
  readonly rowRules: RowRules;
  catalogue(db: PostgresSession, classes?: readonly string[]): MediaCatalogue;
  /** `mxc://server/id` of the media at these paths, each once; a path whose id nobody knows stays as it is. */
  mediaUris(db: PostgresSession, serverName: string, paths: readonly string[]): Promise<readonly string[]>;
}

/** How tables grow and shrink by themselves: what is gone against these rules was lost. Names of tables and of `KindFacts.facts`. */
export interface RowRules {
  /** Lose no row by anything that a homeserver does. */
  readonly growing: readonly string[];
  /** Tables that lose as many rows as each other. */
  readonly together: readonly (readonly string[])[];
  /** Table -> tables that lose rows only when it does. */
  readonly shrinkWith: Readonly<Record<string, readonly string[]>>;
  /** Tables that lose rows every day. */
  readonly volatile: RegExp;
  /** Facts that never rise: rows that lack their partner -> plural, for people. */
  readonly relations: Readonly<Record<string, string>>;
  /** Facts that never fall. */
  readonly positions: readonly string[];
  /** Facts that change with the schema. */
  readonly versions: readonly string[];
  /** Fact that is above 0 while indexes come and go. */
  readonly migrating: string;
}

export interface DiscoverOptions {
  /** homeserver.yaml, in the order of `-c` flags. */
  readonly configFiles: readonly string[];
  /** Python interpreter (or other program) of the installation, where it is not found by itself. */
  readonly program?: string;
  /** Relative paths in the configuration start here; by default the working directory of the running homeserver, else that of its configuration. */
  readonly workingDirectory?: string;
  /** Of a homeserver in a container: path in there -> path here. */
  readonly paths?: Readonly<Record<string, string>>;
  /** The container, which is asked for the version. */
  readonly container?: string;
}

export interface KindFacts {
  readonly facts: Readonly<Record<string, number | string>>;
  readonly digests: Readonly<Record<string, string>>;
  readonly newestEventTs: number | null;
}

export interface Inventory {
  readonly kind: 'synapse';
  readonly serverName: string;
  /** `1.163.2`; undefined when no program was found. */
  readonly version: string | undefined;
  readonly program: string | undefined;
  readonly files: readonly InventoryFile[];
  readonly signingKeys: readonly SigningKeyEntry[];
  readonly database: PostgresTarget;
  readonly mediaStorePath: string;
  /** Where a storage provider puts the same files, and the only ones of many. */
  readonly mediaBucket?: MediaBucket | undefined;
  readonly secrets: readonly SecretEntry[];
  readonly listeners: readonly Listener[];
  /** The configuration as merged from all files, for defang and lint. */
  readonly merged: Readonly<Record<string, unknown>>;
  /** Things an admin should know: a worker file not found, media in a storage provider, ... */
  readonly warnings: readonly string[];
}

export interface InventoryFile {
  readonly path: string;
  /** As ArchivedFile.role. */
  readonly role: string;
  /** `keys` goes into the keys archive, `config` into the config archive. */
  readonly component: 'keys' | 'config';
  /** Absent: a file; as ArchivedFile.type. */
  readonly type?: 'file' | 'directory' | 'symlink';
  /** As ArchivedFile.inside. */
  readonly inside?: string;
  /** Left out with a warning when it cannot be read: no restore needs it. */
  readonly optional?: boolean;
}

export interface SigningKeyEntry extends PublicSigningKey {
  /** The file it stands in; the configuration file itself when inline. */
  readonly file: string;
  /** 32 bytes as unpadded base64. */
  readonly seed: Secret;
}

export interface SecretEntry {
  /** `registration_shared_secret`, `password_config.pepper`, ... */
  readonly name: string;
  readonly file: string;
  readonly value: Secret;
}

export interface Listener {
  readonly port: number;
  readonly tls: boolean;
  readonly resources: readonly string[];
  readonly bindAddresses: readonly string[];
}
