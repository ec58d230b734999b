import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { newestOf } from '../../src/database/postgres/client.ts';
import {
  compareVersions,
  olderMinorWarnings,
  saferClient,
} from '../../src/database/postgres/client-version.ts';
import { databaseWarnings } from '../../src/database/postgres/cluster-facts.ts';
import { describeDumpClient } from '../../src/database/postgres/dump-client.ts';

it('versions of PostgreSQL are ordered by their numbers, not as fractions', () => {
  const versions = ['15.9', '9.6.24', '15.18', '16.1', '16beta2', '15.10'];
  expect(versions.toSorted(compareVersions)).toEqual(['9.6.24', '15.9', '15.10', '15.18', '16beta2', '16.1']);
});

it('the client with the highest minor is chosen, of the major that is asked for where it is there', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-clients-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const paths = ['15.9', '15.18', '15.2', '17.1'].map((version) => join(directory, version));
  for (const path of paths) {
    await writeFile(path, `#!/bin/sh\necho "pg_dump (PostgreSQL) ${path.split('/').at(-1)}"\n`);
    await chmod(path, 0o755);
  }
  expect(await newestOf(paths, 15)).toEqual({ path: paths[1], version: '15.18' });
  expect(await newestOf(paths, 16)).toEqual({ path: paths[3], version: '17.1' });
  expect(await newestOf(paths)).toEqual({ path: paths[3], version: '17.1' });
});

it.each([
  ['18.6', '18.7'],
  ['17.11', '17.12'],
  ['16.9', '16.16'],
  ['15.19', '15.20'],
  ['14.24', '14.25'],
  ['13.30', '14.25'],
])('client %s has known holes, and %s is named as the remedy', (version, safer) => {
  expect(saferClient(version)).toBe(safer);
});

it.each(['18.7', '17.12', '16.20', '15.20', '14.25', '19.0'])('client %s has none', (version) => {
  expect(saferClient(version)).toBeUndefined();
});

const OLDER =
  'pg_dump 15.9 is older than the server, PostgreSQL 15.18; such a dump was seen not to restore: ' +
  'install postgresql-client-15 of version 15.18 or newer';

it.each([
  ['15.9', '15.18', [OLDER]],
  ['15.18', '15.18', []],
  ['15.20', '15.18', []],
  ['18.1', '15.18', []],
  // A repository of pgBackRest has no pg_dump.
  ['2.45', '15.18', []],
])('of pg_dump %s and server %s the admin is warned when the minor is older', (client, server, warnings) => {
  expect(olderMinorWarnings(client, server)).toEqual(warnings);
});

it('the pg_dump that a backup would use is described with the warning of its minor', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-clients-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'pg_dump');
  await writeFile(path, '#!/bin/sh\necho "pg_dump (PostgreSQL) 15.9"\n');
  await chmod(path, 0o755);
  const target = { host: 'localhost', port: 5432, user: 'synapse', database: 'synapse' };
  expect(await describeDumpClient(target, '15.18', directory)).toEqual({
    client: 'pg_dump 15.9 of this host',
    warnings: [OLDER],
  });
});

it('a snapshot warns of the pg_dump that it was made with, when that was an older minor', () => {
  const database = { name: 'synapse', cluster: undefined, serverVersion: '15.18' };
  expect(databaseWarnings({ ...database, clientVersion: '15.9' })).toEqual([OLDER]);
  expect(databaseWarnings({ ...database, clientVersion: '15.18' })).toEqual([]);
});
