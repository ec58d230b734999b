import type { ClusterFacts, DatabaseComponent, RoleFacts } from '../../repository/manifest.ts';
import type { PostgresSession } from '../port.ts';
import { olderMinorWarnings } from './client-version.ts';

/** Owners, whoever was granted something, whoever has settings here, their members, and all that these are members of. */
const ROLES = `
  WITH RECURSIVE db AS (SELECT oid, datdba FROM pg_database WHERE datname = current_database()),
  named AS (
    SELECT datdba AS oid FROM db
    UNION SELECT d.refobjid FROM pg_shdepend d, db WHERE d.refclassid = 'pg_authid'::regclass
      AND (d.dbid = db.oid OR (d.classid = 'pg_database'::regclass AND d.objid = db.oid))
    UNION SELECT s.setrole FROM pg_db_role_setting s, db WHERE s.setdatabase = db.oid AND s.setrole <> 0),
  members AS (SELECT oid FROM named UNION SELECT m.member FROM pg_auth_members m JOIN named ON named.oid = m.roleid),
  wanted AS (SELECT oid FROM members UNION SELECT m.roleid FROM pg_auth_members m JOIN wanted ON wanted.oid = m.member)`;

interface RoleRow extends Record<string, unknown> {
  readonly name: string;
  readonly attributes: string[];
  readonly memberOf: RoleFacts['memberOf'] | null;
}

/** pg_roles, unlike pg_authid, shows no password hash to anybody, and these are not wanted in a backup. */
const ROLE_ROWS = `${ROLES}
  SELECT r.rolname AS name,
    ARRAY(SELECT attribute FROM (VALUES
      (CASE WHEN r.rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END), (CASE WHEN r.rolsuper THEN 'SUPERUSER' END),
      (CASE WHEN r.rolcreatedb THEN 'CREATEDB' END), (CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END),
      (CASE WHEN r.rolreplication THEN 'REPLICATION' END), (CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END),
      (CASE WHEN NOT r.rolinherit THEN 'NOINHERIT' END),
      (CASE WHEN r.rolconnlimit >= 0 THEN 'CONNECTION LIMIT ' || r.rolconnlimit END)) a (attribute)
      WHERE attribute IS NOT NULL) AS attributes,
    (SELECT json_agg(g ORDER BY g.role) FROM (
      SELECT p.rolname AS role, bool_or(m.admin_option) AS admin FROM pg_auth_members m JOIN pg_roles p ON p.oid = m.roleid
      WHERE m.member = r.oid GROUP BY 1) g) AS "memberOf"
  FROM pg_roles r JOIN wanted USING (oid) WHERE r.rolname !~ '^pg_' ORDER BY 1`;

const SETTINGS = `${ROLES}
  SELECT r.rolname AS role, s.setdatabase <> 0 AS "inDatabase", unnest(s.setconfig) AS text
  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, db
  WHERE s.setdatabase = db.oid OR (s.setdatabase = 0 AND s.setrole IN (SELECT oid FROM wanted)) ORDER BY 1, 3`;

/** Columns came with 15 (version and provider of a database's collation) and 17 (another name of its locale). */
const DATABASE = `SELECT to_jsonb(d) AS row, current_setting('server_version_num')::int AS version FROM pg_database d WHERE datname = current_database()`;
const ACTUAL_VERSION = `SELECT pg_database_collation_actual_version(oid) AS version FROM pg_database WHERE datname = current_database()`;
const PROVIDERS: Readonly<Record<string, string>> = { c: 'libc', i: 'icu', b: 'builtin' };

const USED_COLLATIONS = `
  SELECT DISTINCT c.collname AS name, c.collversion AS recorded, pg_collation_actual_version(c.oid) AS actual
  FROM pg_collation c JOIN (SELECT unnest(indcollation) AS oid FROM pg_index) used USING (oid)
  WHERE c.collversion <> pg_collation_actual_version(c.oid) ORDER BY 1`;

const TABLESPACES = `
  SELECT DISTINCT t.spcname AS name FROM pg_tablespace t
  WHERE t.oid IN (SELECT reltablespace FROM pg_class UNION SELECT dattablespace FROM pg_database WHERE datname = current_database())
    AND t.spcname NOT IN ('pg_default', 'pg_global') ORDER BY 1`;

/**
 * What of the cluster belongs to a database and is in no dump of it: the roles it speaks of, their settings, and by whose rules
 * its text is ordered. Any role may read all of it; password hashes are not asked for.
 */
export async function clusterFacts(session: PostgresSession): Promise<ClusterFacts> {
  const [database] = await session.query<{ row: Record<string, unknown>; version: number }>(DATABASE);
  const { row, version } = database!;
  const text = (key: string) => (typeof row[key] === 'string' ? row[key] : undefined);
  const [actual] = version >= 150_000 ? await session.query<{ version: string | null }>(ACTUAL_VERSION) : [];
  const roles = await session.query<RoleRow>(ROLE_ROWS);
  const settings = await session.query<{ role: string | null; inDatabase: boolean; text: string }>(SETTINGS);
  const collations = await session.query<{ name: string; recorded: string; actual: string }>(USED_COLLATIONS);
  const recorded = text('datcollversion');
  return {
    localeProvider: PROVIDERS[text('datlocprovider') ?? 'c'] ?? 'unknown',
    locale: text('datlocale') ?? text('daticulocale'),
    collationVersion: recorded,
    collationDrift: [
      { name: 'of the database', recorded, actual: actual?.version ?? undefined },
      ...collations,
    ].flatMap((one) =>
      one.recorded === undefined || one.actual === undefined || one.recorded === one.actual
        ? []
        : [`${one.name}: made with ${one.recorded}, this system has ${one.actual}`],
    ),
    tablespaces: (await session.query<{ name: string }>(TABLESPACES)).map(({ name }) => name),
    roles: roles.map(({ name, attributes, memberOf }) => ({ name, attributes, memberOf: memberOf ?? [] })),
    settings: settings.map(({ role, inDatabase, text: setting }) => {
      const [name = '', value] = setting.split(/=(.*)/s);
      // Extensions and applications keep keys and tokens in settings with a dot; PostgreSQL's own have none.
      return { role, inDatabase, name, value: name.includes('.') ? null : (value ?? null) };
    }),
  };
}

/** For the admin: text may be ordered otherwise than an index believes, or pg_dump is an older minor than the server. */
export function databaseWarnings({
  name,
  cluster,
  clientVersion,
  serverVersion,
}: Pick<DatabaseComponent, 'name' | 'cluster' | 'clientVersion' | 'serverVersion'>): string[] {
  const collations = (cluster?.collationDrift ?? []).map(
    (drift) =>
      `database ${name}: collation ${drift}; indexes of text may be out of order: REINDEX DATABASE, then ALTER DATABASE or COLLATION ... REFRESH VERSION`,
  );
  return [...collations, ...olderMinorWarnings(clientVersion, serverVersion)];
}
