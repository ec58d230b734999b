import { describe, expect, it } from 'vitest';
import { requireMediaThere } from '../../src/jobs/media-presence.ts';
import { catalogueOf, store } from '../media/store.ts';

const uploads = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `local_content/aa/bb/${index}`);

async function look(rows: readonly string[], files: readonly string[]): Promise<void> {
  const root = await store(Object.fromEntries(files.map((path) => [path, 'x'])));
  await requireMediaThere(catalogueOf(rows), root);
}

describe('before a backup the media directory', () => {
  it('is refused when it is empty and the database has uploads, be it one', async () => {
    const refused = look(uploads(1), []);
    await expect(refused).rejects.toMatchObject({ code: 'media-unreadable', exitStatus: 30 });
    await expect(refused).rejects.toThrow('1 of 1 uploads of the database have no file');
  });

  it('is refused when more than ten and more than half of the uploads are not there', async () => {
    await expect(look(uploads(21), uploads(10))).rejects.toMatchObject({ code: 'media-unreadable' });
    await look(uploads(22), uploads(11));
    await look(uploads(11), uploads(1));
  });

  it('may be empty on a server without uploads, and thumbnails do not count', async () => {
    await look([], []);
    await look(['local_thumbnails/aa/bb/c/1-1-image-png-crop'], []);
  });
});
