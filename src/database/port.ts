import type { DatabaseWay } from '../config/index.ts';
import type { Secret } from '../core/secret.ts';

/** How to reach one database. */
export interface PostgresTarget {
  /** A name, an address, or the directory of a Unix socket, as seen from the far side of `way`; '' is where PostgreSQL listens there by default. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: Secret | undefined;
  readonly database: string;
  readonly sslMode?: 'disable' | 'require' | 'verify-ca' | 'verify-full' | undefined;
  readonly sslRootCert?: string | undefined;
  readonly sslCert?: string | undefined;
  readonly sslKey?: string | undefined;
  /** Without it the database is reached from here. */
  readonly way?: DatabaseWay | undefined;
}

/** One connection; all queries run on it one after the other. Errors: `database-unreachable`, `database-denied`. */
export interface PostgresSession extends AsyncDisposable {
  query<Row extends Record<string, unknown> = Record<string, unknown>>(
    sql: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
  /** Rows in batches of about 5,000, through a cursor: for tables that do not fit into memory. */
  stream<Row extends Record<string, unknown> = Record<string, unknown>>(
    sql: string,
    values?: readonly unknown[],
  ): AsyncIterable<Row>;
  close(): Promise<void>;
}
