import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfiguration } from '../../../src/homeserver/synapse/configuration.ts';
import { readDatabaseBlock } from '../../../src/homeserver/synapse/database-block.ts';
import { tree } from './tree.ts';

async function read(yaml: string) {
  const root = await tree({ 'homeserver.yaml': yaml });
  return readDatabaseBlock(await readConfiguration([join(root, 'homeserver.yaml')]), (path) =>
    join('/base', path),
  );
}

describe('the database block', () => {
  it('has the keyword arguments of psycopg2.connect', async () => {
    const { target } = await read(
      `database: {name: psycopg2, args: {user: u, password: 123456, database: d, host: h, port: "5433", sslmode: verify-full, sslrootcert: ca.pem}}\n`,
    );
    expect(target).toMatchObject({
      user: 'u',
      database: 'd',
      host: 'h',
      port: 5433,
      sslMode: 'verify-full',
      sslRootCert: '/base/ca.pem',
    });
    expect(target.password?.reveal()).toBe('123456');
  });

  it('has the defaults of libpq: the socket of Debian, port 5432, a database called like the user', async () => {
    const { target, warnings } = await read('database: {name: psycopg2, args: {}}\n');
    const { username } = userInfo();
    expect(target).toMatchObject({
      host: '/var/run/postgresql',
      port: 5432,
      user: username,
      database: username,
      password: undefined,
    });
    expect(warnings).toEqual([`database.args names no user; ${username} is assumed`]);
  });

  it.each([
    ['pairs', `host=h port=5433 user=u password='p w\\'d' dbname=d sslmode=prefer`],
    ['a URI', `postgresql://u:p%20w'd@h:5433/d?sslmode=prefer`],
  ])('understands a dsn of %s', async (_, dsn) => {
    const { target } = await read(`database:\n  name: psycopg2\n  args:\n    dsn: ${JSON.stringify(dsn)}\n`);
    expect(target).toMatchObject({ user: 'u', database: 'd', host: 'h', port: 5433, sslMode: undefined });
    expect(target.password?.reveal()).toBe("p w'd");
  });

  it.each([
    [
      'SQLite',
      'database: {name: sqlite3, args: {database: x}}',
      'database.name is SQLite, which is not supported yet',
    ],
    ['SQLite by its path', 'database_path: x', 'database_path is SQLite, which is not supported yet'],
    [
      'several databases',
      'databases: {main: {name: psycopg2}}',
      'databases splits the server over several databases, which is not supported yet',
    ],
    ['none', 'server_name: x', 'database is missing'],
    ['another engine', 'database: {name: mysql}', 'database.name must be psycopg2'],
    [
      'a wrong port',
      'database: {name: psycopg2, args: {user: u, port: many}}',
      'database.args.port must be a port number',
    ],
  ])('refuses %s', async (_, yaml, message) => {
    await expect(read(`${yaml}\n`)).rejects.toMatchObject({
      code: 'homeserver-config-invalid',
      message: expect.stringContaining(message),
    });
  });
});
