import type { DatabaseComponent } from '../../repository/manifest.ts';
import { identifier, literal } from './invariants.ts';

/** Lists, which PostgreSQL keeps quoted already (pg_dump's variable_is_guc_list_quote). */
const LISTS = new Set([
  'search_path',
  'temp_tablespaces',
  'local_preload_libraries',
  'session_preload_libraries',
]);

/**
 * SQL that makes the roles and settings which a database's dump speaks of and does not have. No passwords: they are not in a
 * backup. For people to read before they run it. Pure.
 */
export function rolesSql({ name, owner, cluster }: DatabaseComponent): string[] {
  if (cluster === undefined) return [];
  const about = [
    `-- Database ${oneLine(name)}, owned by ${oneLine(owner)}: roles that own or were granted something there. Without passwords.`,
    '-- Then, for privileges: pg_restore --list DUMP | grep -E " (ACL|DEFAULT ACL) " > acl.list',
    '--                       pg_restore --use-list=acl.list --dbname=DATABASE DUMP',
  ];
  const roles = cluster.roles.map(
    (role) => `CREATE ROLE ${identifier(role.name)} ${role.attributes.join(' ')};`,
  );
  const members = cluster.roles.flatMap((role) =>
    role.memberOf.map(
      ({ role: group, admin }) =>
        `GRANT ${identifier(group)} TO ${identifier(role.name)}${admin ? ' WITH ADMIN OPTION' : ''};`,
    ),
  );
  const settings = cluster.settings.map(({ role, inDatabase, name: setting, value }) => {
    const whose =
      role === null
        ? `DATABASE ${identifier(name)}`
        : `ROLE ${identifier(role)}${inDatabase ? ` IN DATABASE ${identifier(name)}` : ''}`;
    if (value === null)
      return `-- ALTER ${oneLine(whose)} SET ${oneLine(setting)}: its value may be a secret, and is not in the backup`;
    const list = LISTS.has(setting) && /^[\w"$, ]+$/.test(value);
    return `ALTER ${whose} SET ${identifier(setting)} TO ${list ? value : literal(value)};`;
  });
  return [...about, ...roles, ...members, ...settings];
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, ' ');
}
