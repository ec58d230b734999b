import { expect, it } from 'vitest';
import { rolesSql } from '../../src/database/postgres/roles-sql.ts';
import type { ClusterFacts, DatabaseComponent } from '../../src/repository/manifest.ts';

function sqlOf(cluster: Partial<ClusterFacts>): string[] {
  const facts = {
    localeProvider: 'libc',
    collationDrift: [],
    tablespaces: [],
    roles: [],
    settings: [],
    ...cluster,
  };
  return rolesSql({ name: 'mas', owner: 'mas', cluster: facts } as unknown as DatabaseComponent).filter(
    (line) => !/^-- (Database|Then|  )/.test(line),
  );
}

it('quotes what a name or a value brings, and keeps lists as PostgreSQL has them', () => {
  const role = {
    name: 'a"; DROP TABLE x; --',
    attributes: ['LOGIN'],
    memberOf: [{ role: 'readers', admin: true }],
  };
  const settings = [
    { role: null, inDatabase: true, name: 'search_path', value: '"$user", public' },
    { role: 'mas', inDatabase: true, name: 'work_mem', value: "it's" },
    { role: 'mas', inDatabase: false, name: 'search_path', value: 'x; DROP TABLE y' },
  ];
  expect(sqlOf({ roles: [role], settings })).toEqual([
    'CREATE ROLE "a""; DROP TABLE x; --" LOGIN;',
    'GRANT "readers" TO "a""; DROP TABLE x; --" WITH ADMIN OPTION;',
    'ALTER DATABASE "mas" SET "search_path" TO "$user", public;',
    `ALTER ROLE "mas" IN DATABASE "mas" SET "work_mem" TO 'it''s';`,
    `ALTER ROLE "mas" SET "search_path" TO 'x; DROP TABLE y';`,
  ]);
});

it('says of a setting that may hold a secret only that it was there, on one line', () => {
  const settings = [{ role: null, inDatabase: true, name: 'app.jwt\nDROP', value: null }];
  expect(sqlOf({ settings })).toEqual([
    '-- ALTER DATABASE "mas" SET app.jwt DROP: its value may be a secret, and is not in the backup',
  ]);
});
