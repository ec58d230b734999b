import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { databaseTarget } from '../../src/cli/database-url.ts';

describe('the target database', () => {
  it.each([
    [
      'postgresql://synapse@db.example:5433/synapse_new',
      { host: 'db.example', port: 5433, user: 'synapse', database: 'synapse_new' },
    ],
    ['postgres://synapse@localhost/new', { host: 'localhost', port: 5432, user: 'synapse', database: 'new' }],
    ['postgresql://u@[::1]/d', { host: '::1', user: 'u', database: 'd' }],
    ['postgresql://a%40b@h/d%20e', { user: 'a@b', database: 'd e' }],
    ['postgresql://u@/d?host=/run/postgresql', { host: '/run/postgresql', user: 'u', database: 'd' }],
  ])('is read from %s', async (url, expected) => {
    expect(await databaseTarget(url, undefined, {})).toMatchObject(expected);
  });

  it('takes from PG* what the URL leaves out, as psql does', async () => {
    const env = {
      PGHOST: '/run/pg',
      PGPORT: '6000',
      PGUSER: 'u',
      PGDATABASE: 'd',
      PGPASSWORD: 'canary-pg-1',
      PGSSLMODE: 'require',
    };
    const target = await databaseTarget(undefined, undefined, env);
    expect(target).toMatchObject({
      host: '/run/pg',
      port: 6000,
      user: 'u',
      database: 'd',
      sslMode: 'require',
    });
    expect(target.password?.reveal()).toBe('canary-pg-1');
    expect(await databaseTarget('postgresql://other@h:1/e', undefined, env)).toMatchObject({
      host: 'h',
      port: 1,
      user: 'other',
      database: 'e',
    });
  });

  it('reads the password from a file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lifeboat-password-'));
    const file = join(directory, 'password');
    await writeFile(file, 'canary-pg-2\r\n');
    expect((await databaseTarget('postgresql://u@h/d', file, { PGPASSWORD: 'no' })).password?.reveal()).toBe(
      'canary-pg-2',
    );
    await rm(directory, { recursive: true });
    await expect(databaseTarget('postgresql://u@h/d', file, {})).rejects.toMatchObject({
      code: 'secret-unreadable',
    });
  });

  it.each([
    ['mysql://u@h/d', {}, /not a URL of PostgreSQL/],
    ['db', {}, /not a URL of PostgreSQL/],
    ['postgresql://u:canary-pg-3@h/d', {}, /has a password in it/],
    ['postgresql://u@h', {}, /has no database/],
    ['postgresql://h/d', {}, /has no user/],
    ['postgresql://u@h/d', { PGPORT: 'x' }, /PGPORT is not a port/],
  ])('refuses %s with %j, and repeats no password', async (url, env, message) => {
    const error: unknown = await databaseTarget(url, undefined, env).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'usage', message: expect.stringMatching(message) });
    expect(String(error)).not.toContain('canary-pg-3');
  });
});
