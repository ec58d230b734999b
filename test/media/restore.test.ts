import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createMediaRoot, writeMediaFile, type NewMediaFile } from '../../src/media/restore.ts';
import { sha256, store } from './store.ts';

const PATH = 'local_content/aa/bb/cccc';
const file = (content: string, more: Partial<NewMediaFile> = {}): NewMediaFile => ({
  path: PATH,
  mode: 0o640,
  sizeBytes: content.length,
  sha256: sha256(content),
  ...more,
});
const of = (content: string) => () => Readable.from([Buffer.from(content)]);

describe('restoring a media file', () => {
  it('writes content and permission bits, in private folders', async () => {
    const root = await createMediaRoot(join(await store(), 'media'));
    expect(await writeMediaFile(root, file('hello'), of('hello'))).toBe('written');
    expect(readFileSync(join(root.path, PATH), 'utf8')).toBe('hello');
    expect(statSync(join(root.path, PATH)).mode & 0o7777).toBe(0o640);
    expect(statSync(join(root.path, 'local_content')).mode & 0o777).toBe(0o700);
  });

  it('makes no set-user-id file, whatever the manifest says', async () => {
    const root = await createMediaRoot(await store());
    await writeMediaFile(root, file('x', { mode: 0o6755 }), of('x'));
    expect(statSync(join(root.path, PATH)).mode & 0o7777).toBe(0o755);
  });

  it.each([
    ['too short', 'hell', 'size'],
    ['too long', 'hello!', 'size'],
    ['changed', 'hellp', 'content'],
  ])('leaves nothing behind when the content is %s', async (_, content, difference) => {
    const root = await createMediaRoot(await store());
    const writing = writeMediaFile(root, file('hello'), of(content));
    await expect(writing).rejects.toMatchObject({
      code: 'content-damaged',
      message: expect.stringContaining(`other ${difference}`),
    });
    expect(readdirSync(join(root.path, 'local_content/aa/bb'))).toEqual([]);
  });

  it('leaves nothing behind when the source fails', async () => {
    const root = await createMediaRoot(await store());
    const failing = () =>
      Readable.from(
        (async function* () {
          yield Buffer.from('he');
          throw new Error('pack is gone');
        })(),
      );
    await expect(writeMediaFile(root, file('hello'), failing)).rejects.toThrow();
    expect(readdirSync(join(root.path, 'local_content/aa/bb'))).toEqual([]);
  });

  it('can be repeated: the same content is kept, another is refused and left as it is', async () => {
    const root = await createMediaRoot(await store());
    await writeMediaFile(root, file('hello'), of('hello'));
    expect(await writeMediaFile(root, file('hello'), of('hello'))).toBe('kept');
    await expect(writeMediaFile(root, file('other'), of('other'))).rejects.toMatchObject({
      code: 'target-not-empty',
    });
    expect(readFileSync(join(root.path, PATH), 'utf8')).toBe('hello');
    expect(readdirSync(join(root.path, 'local_content/aa/bb'))).toEqual(['cccc']);
  });

  it.each(['../outside', '/etc/x', 'a/../../outside', 'a//b', '', 'a\0b'])(
    'refuses the path %j',
    async (path) => {
      const root = await createMediaRoot(join(await store(), 'media'));
      await expect(writeMediaFile(root, file('x', { path }), of('x'))).rejects.toMatchObject({
        code: 'archive-unsafe',
      });
      expect(readdirSync(join(root.path, '..'))).toEqual(['media']);
    },
  );

  it('writes through no symbolic link, neither folder nor file', async () => {
    const [outside, inside] = [await store(), await store()];
    await symlink(outside, join(inside, 'local_content'));
    const root = await createMediaRoot(inside);
    await expect(writeMediaFile(root, file('x'), of('x'))).rejects.toMatchObject({ code: 'archive-unsafe' });
    await mkdir(join(inside, 'local_thumbnails'));
    await symlink(join(outside, 'target'), join(inside, 'local_thumbnails/link'));
    await expect(
      writeMediaFile(root, file('x', { path: 'local_thumbnails/link' }), of('x')),
    ).rejects.toThrow();
    expect(readdirSync(outside)).toEqual([]);
    expect(lstatSync(join(inside, 'local_thumbnails/link')).isSymbolicLink()).toBe(true);
  });

  it('refuses a file where a folder is needed', async () => {
    const base = await store();
    await writeFile(join(base, 'local_content'), 'x');
    await expect(writeMediaFile(await createMediaRoot(base), file('x'), of('x'))).rejects.toMatchObject({
      code: 'archive-unsafe',
    });
  });

  it('takes a file of unknown hash by its size, but keeps nothing that it cannot compare', async () => {
    const root = await createMediaRoot(await store(), { fsync: 'file' });
    expect(await writeMediaFile(root, file('hello', { sha256: undefined }), of('hello'))).toBe('written');
    await expect(
      writeMediaFile(root, file('hello', { sha256: undefined }), of('hello')),
    ).rejects.toMatchObject({ code: 'target-not-empty' });
  });
});
