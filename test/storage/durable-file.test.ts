import { mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensurePrivateDirectory, writeDurably } from '../../src/storage/durable-file.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lifeboat-durable-'));
});

afterEach(() => rm(root, { recursive: true }));

describe('writeDurably', () => {
  it('replaces a file as a whole and leaves nothing else in the folder', async () => {
    const path = join(root, 'state.json');
    expect(await writeDurably(path, 'one')).toBe('created');
    expect(await writeDurably(path, Buffer.from('two'))).toBe('created');
    expect(await readFile(path, 'utf8')).toBe('two');
    expect(await readdir(root)).toEqual(['state.json']);
  });

  it('gives the file the mode asked for, 0600 otherwise', async () => {
    await writeDurably(join(root, 'private'), 'x');
    await writeDurably(join(root, 'public'), 'x', { mode: 0o644 });
    expect((await stat(join(root, 'private'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(root, 'public'))).mode & 0o777).toBe(0o644);
  });

  it('never replaces a file when it is asked to create it', async () => {
    const path = join(root, 'config');
    expect(await writeDurably(path, 'one', { exclusive: true })).toBe('created');
    expect(await writeDurably(path, 'two', { exclusive: true })).toBe('exists');
    expect(await readFile(path, 'utf8')).toBe('one');
    expect(await readdir(root)).toEqual(['config']);
  });

  it('replaces a link instead of writing through it', async () => {
    await writeFile(join(root, 'target'), 'untouched');
    await symlink(join(root, 'target'), join(root, 'link'));
    await writeDurably(join(root, 'link'), 'new');
    expect(await readFile(join(root, 'target'), 'utf8')).toBe('untouched');
    expect(await readFile(join(root, 'link'), 'utf8')).toBe('new');
  });

  it('names the path when it cannot write', async () => {
    await expect(writeDurably(join(root, 'no/such/file'), 'x')).rejects.toMatchObject({
      code: 'file-unwritable',
      message: expect.stringContaining(join(root, 'no/such/file')),
    });
    await ensurePrivateDirectory(join(root, 'folder/below'));
    await expect(writeDurably(join(root, 'folder'), 'x')).rejects.toMatchObject({ code: 'file-unwritable' });
    expect(await readdir(root)).toEqual(['folder']);
  });
});

describe('ensurePrivateDirectory', () => {
  it('gives up where a folder cannot be made although its parent is there', async () => {
    await expect(ensurePrivateDirectory('/proc/lifeboat/below')).rejects.toMatchObject({
      code: 'file-unwritable',
      message: expect.stringContaining('/proc/lifeboat'),
    });
  });

  it('is called for the same missing folders by many at once', async () => {
    const folders = Array.from({ length: 50 }, (_, at) => join(root, 'many/at/once', String(at % 5)));
    await Promise.all(folders.map((folder) => ensurePrivateDirectory(folder)));
    expect(await readdir(join(root, 'many/at/once'))).toEqual(['0', '1', '2', '3', '4']);
  });

  it('makes missing parents too, private, and is content with what is there', async () => {
    await ensurePrivateDirectory(join(root, 'a/b/c'));
    await ensurePrivateDirectory(join(root, 'a/b/c'));
    for (const path of ['a', 'a/b', 'a/b/c']) expect((await stat(join(root, path))).mode & 0o777).toBe(0o700);
  });

  it('refuses a file in the way', async () => {
    await writeFile(join(root, 'file'), 'x');
    await expect(ensurePrivateDirectory(join(root, 'file'))).rejects.toMatchObject({
      code: 'file-unwritable',
    });
    await expect(ensurePrivateDirectory(join(root, 'file/below'))).rejects.toMatchObject({
      code: 'file-unwritable',
    });
  });
});
