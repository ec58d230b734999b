import type { Secret } from '../core/secret.ts';
import type { MediaSettings } from './media.ts';
import type { Maintenance } from './maintenance.ts';
import type { HookedJob, JobHooks, Priority } from './running.ts';
import type { DatabaseWay } from './database-way.ts';
import type { OtherDatabaseConfig } from './other-databases.ts';
import type { PgBackRestSettings } from './pgbackrest.ts';
import type { CopyPlace, StorePlace } from './store.ts';

/** lifeboat.yaml as the program uses it: absolute paths, milliseconds, secrets read. */
export interface Config {
  readonly file: string;
  readonly homeserver: {
    readonly kind: 'synapse';
    readonly config: readonly string[];
    readonly program: string | undefined;
    /** Path in the container -> path on this host. */
    readonly paths: Readonly<Record<string, string>>;
    readonly container: string | undefined;
  };
  readonly configuration: {
    readonly extra: readonly string[];
    readonly search: boolean;
  };
  readonly database: DatabaseOverrides;
  readonly media: MediaSettings;
  readonly repository: StorePlace & {
    readonly copies: readonly CopyPlace[];
    readonly hostKeyFile: string;
    readonly adminKeyFile: string | undefined;
    readonly identityFile: string | undefined;
    readonly stateDirectory: string;
  };
  readonly retention: {
    readonly keepLast: number;
    readonly keepDaily: number;
    readonly keepWeekly: number;
    readonly keepMonthly: number;
    readonly keepYearly: number;
    readonly keepWithinMs: number;
    readonly floor: number;
  };
  readonly drill: {
    readonly peer: boolean;
    readonly timeoutMs: number;
    readonly workDirectory: string;
    readonly postgresDirectory: string | undefined;
  };
  readonly maintenance: Maintenance;
  readonly hooks: Readonly<Record<HookedJob, JobHooks>>;
  readonly priority: Priority;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

export interface DatabaseOverrides {
  readonly engine: 'dump' | 'pgbackrest';
  readonly pgbackrest: PgBackRestSettings | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  readonly database: string | undefined;
  readonly sslMode: 'disable' | 'require' | 'verify-ca' | 'verify-full' | undefined;
  readonly sslRootCert: string | undefined;
  readonly sslCert: string | undefined;
  readonly sslKey: string | undefined;
  readonly via: DatabaseWay | undefined;
  readonly clientDirectory: string | undefined;
  /** How long others may wait behind the backup. */
  readonly yieldAfterMs: number;
  /** How long the backup waits for a table. */
  readonly lockTimeoutMs: number;
  readonly lanes: number | undefined;
  readonly also: readonly OtherDatabaseConfig[];
  readonly ignore: readonly string[];
  /** Infinity: never. */
  readonly amcheckEveryMs: number;
}
