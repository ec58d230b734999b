import { LifeboatError } from '../../core/errors.ts';
import type { MediaCatalogue } from '../../media/port.ts';
import type { Tree } from '../../media/rsync/tree.ts';

/** As in `media-presence.ts`. */
const ORDINARY_LOSS = 10;
const SAMPLE = 2000;
const HALF = 0.5;

/** Uploads of our own users at the source, before anything is stored: an empty mount point must not become a snapshot. */
export async function requireUploads(catalogue: MediaCatalogue, source: Tree): Promise<void> {
  if ((await source.names('')) === undefined)
    throw new LifeboatError('media-unreadable', `the media store ${source.location} does not exist`, {
      hint: 'Correct media_store_path, media.path or media.rsync.source.',
    });
  const uploads: string[] = [];
  for await (const row of catalogue.rows()) {
    if (row.mediaClass !== 'local_content') continue;
    if (uploads.push(row.path) === SAMPLE) break;
  }
  const missing = uploads.length - (await source.look('', uploads)).size;
  const none = uploads.length > 0 && missing === uploads.length;
  if (!none && (missing <= ORDINARY_LOSS || missing <= uploads.length * HALF)) return;
  throw new LifeboatError(
    'media-unreadable',
    `${missing} of ${uploads.length} uploads of the database have no file in the media store ${source.location}`,
    {
      hint: [
        'Mount the media store, or correct media_store_path, media.path or media.rsync.source.',
        'If these files are lost for good, set media.allow_missing: true in lifeboat.yaml.',
      ],
      context: { path: source.location, rows: uploads.length, missing },
    },
  );
}
