import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endOfForeignFile } from '../../src/core/foreign-file.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-foreign-'));
});
afterEach(() => rm(directory, { recursive: true }));

describe('the end of a file that somebody else may exchange', () => {
  it('is its last bytes', async () => {
    const file = join(directory, 'log');
    await writeFile(file, 'first\nlast\n');
    expect(await endOfForeignFile(file, 5)).toBe('last\n');
    expect(await endOfForeignFile(file, 500)).toBe('first\nlast\n');
  });

  it('is refused when a link stands in its place', async () => {
    await writeFile(join(directory, 'secret'), 'secret');
    await symlink('secret', join(directory, 'log'));
    await expect(endOfForeignFile(join(directory, 'log'), 500)).rejects.toMatchObject({ code: 'ELOOP' });
  });

  it('is nothing, at once, when a pipe that nobody writes to stands in its place', async () => {
    execFileSync('mkfifo', [join(directory, 'log')]);
    expect(await endOfForeignFile(join(directory, 'log'), 500)).toBe('');
  });
});
