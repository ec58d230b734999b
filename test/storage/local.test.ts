import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLocalStore } from '../../src/storage/local.ts';

const HOUR_MS = 3_600_000;
const body = Buffer.from('body');
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lifeboat-local-'));
});

afterEach(() => rm(root, { recursive: true }));

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const object of (await openLocalStore(root)).list(prefix)) found.push(object.key);
  return found.toSorted();
}

describe('a local store', () => {
  it('makes nothing before the first put, so that a mistyped place stays empty', async () => {
    const place = join(root, 'mistyped');
    const store = await openLocalStore(place);
    await expect(store.get('lifeboat.json')).rejects.toMatchObject({ code: 'object-missing' });
    for await (const object of store.list('')) expect.fail(object.key);
    expect(await readdir(root)).toEqual([]);
  });

  it('keeps files at 0600 and folders at 0700 when the umask would let everybody in', async () => {
    const before = process.umask(0);
    try {
      await (await openLocalStore(join(root, 'new/place'))).put('packs/ab/x.age', body);
    } finally {
      process.umask(before);
    }
    const mode = async (path: string): Promise<number> => (await stat(join(root, path))).mode & 0o777;
    expect(await mode('new/place/packs/ab/x.age')).toBe(0o600);
    for (const folder of ['new', 'new/place', 'new/place/tmp', 'new/place/packs', 'new/place/packs/ab']) {
      expect(await mode(folder)).toBe(0o700);
    }
  });

  it('leaves no temporary file behind, created or not', async () => {
    const store = await openLocalStore(root);
    await store.put('a/b', body);
    await store.put('a/b', body);
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
    expect(await readdir(join(root, 'a'))).toEqual(['b']);
  });

  it('puts again after somebody removed the folders', async () => {
    const store = await openLocalStore(root);
    await store.put('packs/ab/x', body);
    await rm(join(root, 'packs'), { recursive: true });
    await rm(join(root, 'tmp'), { recursive: true });
    expect(await store.put('packs/ab/x', body)).toBe('created');
  });

  it('lists neither temporary files nor links, and follows none', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'lifeboat-outside-'));
    try {
      await writeFile(join(outside, 'secret'), body);
      await (await openLocalStore(root)).put('packs/x', body);
      await writeFile(join(root, 'tmp/half'), body);
      await symlink(outside, join(root, 'packs/folder'));
      await symlink(join(outside, 'secret'), join(root, 'packs/file'));
      expect(await keys('')).toEqual(['packs/x']);
      expect(await keys('tmp')).toEqual([]);
      expect(await keys('tmp/')).toEqual([]);
      const store = await openLocalStore(root);
      await expect(store.get('packs/file')).rejects.toMatchObject({ code: 'file-unreadable' });
      await expect(store.stat('packs/file')).rejects.toMatchObject({ code: 'file-unreadable' });
    } finally {
      await rm(outside, { recursive: true });
    }
  });

  it('refuses keys inside its temporary folder', async () => {
    const store = await openLocalStore(root);
    await expect(store.put('tmp/x', body)).rejects.toThrow(RangeError);
    expect(await store.put('tmpx', body)).toBe('created');
  });

  it('does not wait for a FIFO that stands where an object should be', async () => {
    await mkdir(join(root, 'packs'));
    expect(spawnSync('mkfifo', [join(root, 'packs/fifo')]).status).toBe(0);
    await expect((await openLocalStore(root)).get('packs/fifo')).rejects.toMatchObject({
      code: 'file-unreadable',
    });
  });

  it('sweeps temporary files of more than a day when it is opened, and younger ones when asked', async () => {
    await mkdir(join(root, 'tmp'));
    for (const [name, hours] of [
      ['old', 25],
      ['young', 23],
    ] as const) {
      const then = new Date(Date.now() - hours * HOUR_MS);
      await writeFile(join(root, 'tmp', name), body);
      await utimes(join(root, 'tmp', name), then, then);
    }
    const store = await openLocalStore(root);
    expect(await readdir(join(root, 'tmp'))).toEqual(['young']);
    expect(await store.sweepTemporary(22 * HOUR_MS)).toBe(1);
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
  });

  it('does not change the mode of folders that were there', async () => {
    await mkdir(join(root, 'shared'));
    await chmod(join(root, 'shared'), 0o750);
    await (await openLocalStore(join(root, 'shared'))).put('x', body);
    expect((await stat(join(root, 'shared'))).mode & 0o777).toBe(0o750);
  });
});
