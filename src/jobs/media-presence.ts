import { LifeboatError } from '../core/errors.ts';
import type { MediaBucket, MediaCatalogue } from '../media/port.ts';
import type { MediaSource } from '../media/source.ts';
import { openMediaSource } from './sources.ts';

/** So few lost files are the ordinary losses of an old server, whatever their share. */
const ORDINARY_LOSS = 10;
/** In the order of their paths, which begin with random letters. */
const SAMPLE = 2000;
/** A share above this is a disk that is not mounted or a wrong path, not a loss. */
const HALF = 0.5;

/**
 * Uploads of our own users against the directory (and the bucket), before anything is stored: an empty mount point would
 * become a snapshot that has lost them all. Thumbnails do not count, they are made again. Errors: `media-unreadable`.
 */
export async function requireMediaThere(
  catalogue: MediaCatalogue,
  path: string,
  bucket?: MediaBucket,
): Promise<void> {
  const source = await openMediaSource(path, bucket);
  try {
    const { rows, missing } = await countMissing(catalogue, source);
    const none = rows > 0 && missing === rows;
    if (!none && (missing <= ORDINARY_LOSS || missing <= rows * HALF)) return;
    throw new LifeboatError(
      'media-unreadable',
      `${missing} of ${rows} uploads of the database have no file in ${source.description}`,
      {
        hint: [
          'Mount the media store, or correct media_store_path or media.path.',
          'If these files are lost for good, set media.allow_missing: true in lifeboat.yaml.',
        ],
        context: { path, rows, missing },
      },
    );
  } finally {
    source.close();
  }
}

async function countMissing(
  catalogue: MediaCatalogue,
  source: MediaSource,
): Promise<{ rows: number; missing: number }> {
  let [rows, missing] = [0, 0];
  for await (const row of catalogue.rows()) {
    if (row.mediaClass !== 'local_content') continue;
    rows += 1;
    if ((await source.look(row.path)) === undefined) missing += 1;
    if (rows === SAMPLE) break;
  }
  return { rows, missing };
}
