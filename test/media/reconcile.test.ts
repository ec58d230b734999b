import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openMediaDirectory } from '../../src/media/directory.ts';
import { all, catalogueOf, store } from './store.ts';

const CLASSES = ['local_content', 'local_thumbnails'];

describe('catalogue and directory', () => {
  it('agree when every row has its file and the other way round', async () => {
    const paths = ['local_content/aa/bb/c', 'local_thumbnails/aa/bb/c/1-1-image-png-crop'];
    const directory = await openMediaDirectory(
      await store(Object.fromEntries(paths.map((path) => [path, 'x']))),
    );
    expect(await all(directory.reconcile(catalogueOf(paths), CLASSES))).toEqual([]);
  });

  it('disagree by name: rows without file, files without row, and what is no file', async () => {
    const root = await store({
      'local_content/aa/bb/both': 'x',
      'local_content/aa/bb/orphan': 'x',
      'url_cache/not-asked': 'x',
    });
    await symlink('both', join(root, 'local_content/aa/bb/link'));
    const directory = await openMediaDirectory(root);
    const catalogue = catalogueOf([
      'local_content/aa/aa/gone',
      'local_content/aa/bb/both',
      'local_thumbnails/zz/gone',
      'remote_content/not-asked',
    ]);
    const found = await all(directory.reconcile(catalogue, CLASSES));
    expect(found.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      'missing local_content/aa/aa/gone',
      'foreign local_content/aa/bb/link',
      'orphan local_content/aa/bb/orphan',
      'missing local_thumbnails/zz/gone',
    ]);
    expect(await all(directory.orphans(catalogue, CLASSES))).toEqual(['local_content/aa/bb/orphan']);
  });

  it('end the query when the reader stops early', async () => {
    const root = await store({ 'local_content/a': 'x', 'local_content/b': 'x' });
    let ended = false;
    const catalogue = {
      async *rows() {
        try {
          yield* catalogueOf(['local_content/c', 'local_content/d']).rows();
        } finally {
          ended = true;
        }
      },
    };
    for await (const _ of (await openMediaDirectory(root)).reconcile(catalogue, CLASSES)) break;
    expect(ended).toBe(true);
  });
});
