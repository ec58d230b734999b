import type { MediaBucket, MediaCatalogue } from '../media/port.ts';
import type { MediaSource } from '../media/source.ts';
import { refuseLost, SAMPLE } from './media/presence.ts';
import { openMediaSource } from './sources.ts';

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
    refuseLost(await countMissing(catalogue, source), source.description, path);
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
