import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  createMediaRoot,
  writeMediaFiles,
  type MediaRoot,
  type NewMediaFile,
} from '../../src/media/restore.ts';
import { sha256, store } from './store.ts';

const PATH = 'local_content/aa/bb/cccc';
const file = (content: string, more: Partial<NewMediaFile> = {}): NewMediaFile => ({
  path: PATH,
  sizeBytes: content.length,
  sha256: sha256(content),
  ...more,
});
const of = (content: string) => () => Readable.from([Buffer.from(content)]);
const write = (root: MediaRoot, one: NewMediaFile, open: () => Readable) =>
  writeMediaFiles(root, [{ ...one, open }], { onDone: () => undefined });

describe('restoring a media file', () => {
  it('writes content that a group can read, in private folders', async () => {
    const root = await createMediaRoot(join(await store(), 'media'));
    await write(root, file('hello'), of('hello'));
    expect(readFileSync(join(root.path, PATH), 'utf8')).toBe('hello');
    expect(statSync(join(root.path, PATH)).mode & 0o7777).toBe(0o640);
    expect(statSync(join(root.path, 'local_content')).mode & 0o777).toBe(0o700);
  });

  it.each([
    ['too short', 'hell', 'size'],
    ['too long', 'hello!', 'size'],
    ['changed', 'hellp', 'content'],
  ])('leaves nothing behind when the content is %s', async (_, content, difference) => {
    const root = await createMediaRoot(await store());
    const writing = write(root, file('hello'), of(content));
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
    await expect(write(root, file('hello'), failing)).rejects.toThrow();
    expect(readdirSync(join(root.path, 'local_content/aa/bb'))).toEqual([]);
  });

  it('can be repeated: the same content is kept, another is refused and left as it is', async () => {
    const root = await createMediaRoot(await store());
    await write(root, file('hello'), of('hello'));
    const { ino } = statSync(join(root.path, PATH));
    await write(root, file('hello'), of('hello'));
    expect(statSync(join(root.path, PATH)).ino).toBe(ino);
    await expect(write(root, file('other'), of('other'))).rejects.toMatchObject({
      code: 'target-not-empty',
    });
    expect(readFileSync(join(root.path, PATH), 'utf8')).toBe('hello');
    expect(readdirSync(join(root.path, 'local_content/aa/bb'))).toEqual(['cccc']);
  });

  it.each(['../outside', '/etc/x', 'a/../../outside', 'a//b', '', 'a\0b'])(
    'refuses the path %j',
    async (path) => {
      const root = await createMediaRoot(join(await store(), 'media'));
      await expect(write(root, file('x', { path }), of('x'))).rejects.toMatchObject({
        code: 'archive-unsafe',
      });
      expect(readdirSync(join(root.path, '..'))).toEqual(['media']);
    },
  );

  it('writes through no symbolic link, neither folder nor file', async () => {
    const [outside, inside] = [await store(), await store()];
    await symlink(outside, join(inside, 'local_content'));
    const root = await createMediaRoot(inside);
    await expect(write(root, file('x'), of('x'))).rejects.toMatchObject({ code: 'archive-unsafe' });
    await mkdir(join(inside, 'local_thumbnails'));
    await symlink(join(outside, 'target'), join(inside, 'local_thumbnails/link'));
    await expect(write(root, file('x', { path: 'local_thumbnails/link' }), of('x'))).rejects.toThrow();
    expect(readdirSync(outside)).toEqual([]);
    expect(lstatSync(join(inside, 'local_thumbnails/link')).isSymbolicLink()).toBe(true);
  });

  it('refuses a file where a folder is needed', async () => {
    const base = await store();
    await writeFile(join(base, 'local_content'), 'x');
    await expect(write(await createMediaRoot(base), file('x'), of('x'))).rejects.toMatchObject({
      code: 'archive-unsafe',
    });
  });

  it('removes what a restore that was killed had staged, and leaves no folder of its own', async () => {
    const root = await createMediaRoot(await store());
    await mkdir(root.staging);
    await writeFile(join(root.staging, 'left'), 'x');
    await write(root, file('hello'), of('hello'));
    expect(readdirSync(root.path)).toEqual(['local_content']);
  });

  it('gives the files of a durable root their names in batches, all of them in the end', async () => {
    const root = await createMediaRoot(await store(), { durable: true });
    const files = Array.from({ length: 1100 }, (_, n) => ({
      ...file(`file ${n}`, { path: `local_content/${n}` }),
      open: of(`file ${n}`),
    }));
    let done = 0;
    await writeMediaFiles(root, files, { onDone: () => (done += 1) });
    expect(done).toBe(1100);
    expect(readdirSync(join(root.path, 'local_content'))).toHaveLength(1100);
  });

  it('takes content that is whole as it is, and refuses it by its size', async () => {
    const root = await createMediaRoot(await store());
    const whole = (content: string) => ({
      open: of('not asked'),
      whole: () => Promise.resolve(Buffer.from(content)),
    });
    const one = (content: string) => [{ ...file('hello'), ...whole(content) }];
    const onDone = () => undefined;
    await expect(writeMediaFiles(root, one('hell'), { onDone })).rejects.toMatchObject({
      code: 'content-damaged',
    });
    await writeMediaFiles(root, one('hello'), { onDone });
    expect(readFileSync(join(root.path, PATH), 'utf8')).toBe('hello');
  });

  it('takes a file of unknown hash by its size, but keeps nothing that it cannot compare', async () => {
    const root = await createMediaRoot(await store(), { durable: true });
    await write(root, file('hello', { sha256: undefined }), of('hello'));
    await expect(write(root, file('hello', { sha256: undefined }), of('hello'))).rejects.toMatchObject({
      code: 'target-not-empty',
    });
  });
});
