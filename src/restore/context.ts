import type { LifeboatError } from '../core/errors.ts';
import type { Clock } from '../core/clock.ts';
import type { WalArchive } from '../database/engine.ts';
import type { PostgresTarget } from '../database/port.ts';
import type { EnvironmentCommand, ExecResult } from '../environment/port.ts';
import type { Launch } from '../homeserver/index.ts';
import type { Invariants, PublicSigningKey } from '../repository/manifest.ts';
import type { Progress } from '../observe/progress.ts';
import type { ConfiguredKeys } from './configured-keys.ts';
import type { Journal } from './journal.ts';
import type { PlacedFile, RestoreSource } from './source.ts';

/** What the steps of a checklist share: the source, the target, and what earlier steps found out. */
export interface RestoreContext {
  readonly source: RestoreSource;
  readonly target: RestoreTarget;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  /** Where pg_restore and the homeserver's own code run: inside the sandbox for a drill, on this host for a restore. */
  readonly exec: (command: EnvironmentCommand) => Promise<ExecResult>;
  /** Gives a path below the target to the user that will use it. */
  readonly handOver: (path: string) => Promise<void>;
  /** Only where the source's database is a physical backup: brings its cluster to life, as `target.database` then. */
  readonly restoreCluster?: (() => Promise<RecoveredCluster>) | undefined;
  readonly journal?: Journal | undefined;
  /** Interpreter of the homeserver's installation, of the version that the snapshot was taken of. */
  readonly program: string;
  /** How the restored configuration is bent to the place: made harmless for a drill, given its new paths for a restore. */
  readonly arrange: (place: ConfigurationPlace) => Arrangement | Promise<Arrangement>;
  /** Load functions, triggers and extensions that the homeserver's schema does not have, outside a sealed environment too. */
  readonly allowCode?: boolean | undefined;
  readonly found: RestoreState;
}

/** What is known of a recovered cluster, for the checks. */
export interface RecoveredCluster {
  /** Transactions that it holds and that were not in the snapshot that was measured. */
  readonly between: number;
  readonly restoreMs: number;
  readonly replayMs: number;
  readonly walSegments: number;
  readonly wal: WalArchive;
}

export interface RestoreTarget {
  /** Below it everything but the database is written. */
  readonly directory: string;
  /** The owner of the new database: no superuser, so that code in a hostile dump can do nothing beyond it. */
  readonly database: PostgresTarget;
  /** For a restore: where the databases beside it go, by label; each exists and is empty. */
  readonly others?: ReadonlyMap<string, PostgresTarget> | undefined;
  /** May create the database; undefined when it must exist already, empty. */
  readonly admin: PostgresTarget | undefined;
  readonly mediaDirectory: string;
  readonly keysDirectory: string;
  readonly configDirectory: string;
  /** Directory of pg_restore and psql, where it is not on the PATH. */
  readonly clientDirectory: string | undefined;
  /** A sandbox of its own, that may run psql scripts (`\!` in a plain dump runs commands) and trust sockets. */
  readonly sealed: boolean;
}

export interface ConfigurationPlace {
  /** The restored configuration, merged as the homeserver does. */
  readonly merged: Readonly<Record<string, unknown>>;
  readonly signingKeyPath: string;
  /** Path as homeserver.yaml has it -> where the file lies now. */
  readonly placed: Readonly<Record<string, string>>;
}

export interface Arrangement {
  /** Text of the last `-c` file. */
  readonly overlay: string;
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly changes: readonly { readonly setting: string; readonly reason: string }[];
}

/** What steps found out, for later steps and for the report. */
export interface RestoreState {
  /** By label: why a database beside the homeserver's could not be restored. */
  otherFailures?: ReadonlyMap<string, LifeboatError>;
  cluster?: RecoveredCluster;
  measured?: Invariants;
  databaseBytes?: number;
  mediaFiles?: number;
  mediaBytes?: number;
  keyFiles?: readonly PlacedFile[];
  signingKeys?: readonly PublicSigningKey[];
  configuredKeys?: ConfiguredKeys;
  configFiles?: readonly PlacedFile[];
  /** How the restored homeserver is started. */
  launch?: Launch;
  /** What was changed in the database before the first start. */
  cleansed?: readonly string[];
  /** Settings changed so that the copy does no harm, for the report. */
  defanged?: readonly { readonly setting: string; readonly reason: string }[];
}
