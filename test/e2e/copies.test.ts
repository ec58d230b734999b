import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Config } from '../../src/config/index.ts';
import { EXIT } from '../../src/core/errors.ts';
import { register } from '../../src/demo/world/client.ts';
import { lifeboat } from '../cli/run.ts';
import { startLab, type Lab } from './backed-up-world.ts';

/** A homeserver whose repository has two copies, of which one cannot be reached at first. */
let lab: Lab;
let config: Config;
let file: string;
let obstacle: string;

beforeAll(async () => {
  lab = await startLab();
  const home = await lab.startServer('home');
  await register(home.clientUrl, home.registrationSecret, 'alice', 'Alice');
  config = await lab.configure(home);
  obstacle = join(lab.directory, 'obstacle');
  await writeFile(obstacle, 'not a folder');
  file = join(lab.directory, 'with-copies.yaml');
  const copies = `  copies:\n    - {name: attic, path: attic}\n    - {name: cellar, path: obstacle/cellar}\n`;
  const text = (await readFile(config.file, 'utf8')).replace('floor: 3', 'floor: 0');
  await writeFile(file, text.replace('repository:\n', `repository:\n${copies}`));
});

afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

it('a backup with a copy that cannot be written is stored and copied elsewhere, and says so with status 3', async () => {
  const { status, stdout, stderr } = await lifeboat(['backup', '--config', file]);
  expect(stderr).toMatch(/warning: copy cellar is not up to date: .*obstacle/);
  expect(stdout).toMatch(/copy attic: \d+ objects, .* copied/);
  expect(status).toBe(EXIT.omissions);
});

it('a copy is checked, listed and verified like the repository, but not written', async () => {
  const copy = ['--config', file, '--copy', 'attic'];
  expect(await lifeboat(['check', '--read-data', ...copy])).toMatchObject({ status: EXIT.ok });
  const { stdout } = await lifeboat(['list', ...copy]);
  expect(stdout).toBe((await lifeboat(['list', '--config', file])).stdout);
  const identity = ['--identity', config.repository.identityFile!];
  expect(await lifeboat(['verify', 'latest', ...identity, ...copy])).toMatchObject({ status: EXIT.ok });
  const { status, stderr } = await lifeboat(['backup', ...copy]);
  expect({ status, stderr }).toMatchObject({
    status: EXIT.usage,
    stderr: expect.stringContaining('attic is a copy, and only read'),
  });
});

it('a copy that can be reached again is filled by `lifeboat copy`', async () => {
  await rm(obstacle);
  const { status, stdout } = await lifeboat(['copy', '--config', file]);
  expect(stdout).toMatch(/copy attic: 0 objects, .*\ncopy cellar: \d+ objects, /);
  expect(status).toBe(EXIT.ok);
  expect(await lifeboat(['check', '--config', file, '--copy', 'cellar'])).toMatchObject({ status: EXIT.ok });
});

it('what prune removes is removed in the copies, too', async () => {
  const objects = async (name: string) => (await readdir(join(lab.directory, name, 'manifests'))).toSorted();
  expect(await lifeboat(['backup', '--config', file])).toMatchObject({ status: EXIT.ok });
  const before = await objects('attic');
  const argv = ['prune', '--keep-last', '1', '--keep-within', '0s', '--grace', '0s', '--config', file];
  expect(await lifeboat([...argv, '--dry-run'])).toMatchObject({ status: EXIT.ok });
  expect(await objects('attic')).toEqual(before);
  const { status, stdout } = await lifeboat(argv);
  expect(stdout).toMatch(/copy attic: .* \d+ pruned/);
  expect(status).toBe(EXIT.ok);
  expect((await objects('attic')).length).toBeLessThan(before.length);
  expect(await lifeboat(['check', '--config', file, '--copy', 'attic'])).toMatchObject({ status: EXIT.ok });
});
