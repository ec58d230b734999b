import { LifeboatError } from '../core/errors.ts';
import { openMediaDirectory } from '../media/directory.ts';
import type { MediaCatalogue } from '../media/port.ts';

/** So few lost files are the ordinary losses of an old server, whatever their share. */
const ORDINARY_LOSS = 10;
/** In the order of their paths, which begin with random letters. */
const SAMPLE = 2000;
/** A share above this is a disk that is not mounted or a wrong path, not a loss. */
const HALF = 0.5;

/**
 * Uploads of our own users against the directory, before anything is stored: an empty mount point would become a snapshot
 * that has lost them all. Thumbnails do not count, they are made again. Errors: `media-unreadable`.
 */
export async function requireMediaThere(catalogue: MediaCatalogue, path: string): Promise<void> {
  const directory = await openMediaDirectory(path);
  let [rows, missing] = [0, 0];
  for await (const row of catalogue.rows()) {
    if (row.mediaClass !== 'local_content') continue;
    rows += 1;
    if (directory.look(row.path) === undefined) missing += 1;
    if (rows === SAMPLE) break;
  }
  const none = rows > 0 && missing === rows;
  if (!none && (missing <= ORDINARY_LOSS || missing <= rows * HALF)) return;
  throw new LifeboatError(
    'media-unreadable',
    `${missing} of ${rows} uploads of the database have no file in the media directory ${path}`,
    {
      hint: [
        'Mount the media store, or correct media_store_path or media.path.',
        'If these files are lost for good, set media.allow_missing: true in lifeboat.yaml.',
      ],
      context: { path, rows, missing },
    },
  );
}
