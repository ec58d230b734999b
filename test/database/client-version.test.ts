import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { newestOf } from '../../src/database/postgres/client.ts';
import { compareVersions, saferClient } from '../../src/database/postgres/client-version.ts';

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
