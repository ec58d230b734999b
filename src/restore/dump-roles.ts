import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { connect } from '../database/index.ts';
import type { RestoreTarget } from './context.ts';

/** More owners than this no homeserver's database has. */
const MOST = 100;
/** `ALTER TABLE public.events OWNER TO synapse;`, `GRANT SELECT ON TABLE public.events TO readonly;` */
const MENTION =
  /^(?:ALTER .* OWNER TO|GRANT .* TO|REVOKE .* FROM|ALTER DEFAULT PRIVILEGES FOR ROLE) ("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)/;
const BUILT_IN = /^"?(?:public|pg_.*)"?$/i;

/**
 * Plain SQL dumps name the roles of the server that they come from, and psql stops at the first one that is missing. In a
 * sealed cluster they are made: without login, and only so that the owner of the restored database may give them their tables.
 */
export async function makeMentionedRoles(file: string, target: RestoreTarget): Promise<void> {
  if (target.admin === undefined) return;
  const roles = await mentionedRoles(file);
  await using session = await connect(
    { ...target.admin, database: target.database.database },
    { applicationName: 'lifeboat:roles' },
  );
  for (const role of roles) {
    const exists = await session.query('SELECT 1 FROM pg_roles WHERE quote_ident(rolname) = $1', [role]);
    // One that is there already is the cluster's superuser, or the owner itself: a dump that names it must not make anybody its member.
    if (exists.length > 0) continue;
    await session.query(`CREATE ROLE ${role} NOLOGIN`);
    await session.query(`GRANT ${role} TO ${target.database.user}; GRANT ALL ON SCHEMA public TO ${role}`);
  }
}

/** As they are quoted in the dump. */
async function mentionedRoles(file: string): Promise<ReadonlySet<string>> {
  const roles = new Set<string>();
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const role = MENTION.exec(line)?.[1];
    if (role !== undefined && !BUILT_IN.test(role) && roles.size < MOST) roles.add(role);
  }
  return roles;
}
