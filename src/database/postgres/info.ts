import type { PostgresSession } from '../port.ts';

export interface DatabaseInfo {
  readonly name: string;
  readonly owner: string;
  /** `15.18` */
  readonly serverVersion: string;
  /** `UTF8` */
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  /** `plpgsql 1.0` */
  readonly extensions: readonly string[];
  readonly sizeBytes: number;
}

export async function databaseInfo(session: PostgresSession): Promise<DatabaseInfo> {
  const [row] = await session.query<
    Omit<DatabaseInfo, 'extensions' | 'serverVersion'> & { version: string; extensions: string[] }
  >(`
    SELECT d.datname AS name, pg_get_userbyid(d.datdba) AS owner, current_setting('server_version') AS version,
           pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collate, d.datctype AS ctype,
           pg_database_size(d.oid) AS "sizeBytes",
           ARRAY(SELECT extname || ' ' || extversion FROM pg_extension ORDER BY 1) AS extensions
    FROM pg_database d WHERE d.datname = current_database()`);
  const { version, ...info } = row!;
  // Debian appends its package version: `15.18 (Debian 15.18-0+deb12u1)`.
  return { ...info, serverVersion: version.split(' ')[0]! };
}
