import { LifeboatError } from '../../core/errors.ts';
import type { MediaCatalogue } from '../../media/port.ts';
import type { Tree } from '../../media/rsync/tree.ts';

/** So few lost files are the ordinary losses of an old server, whatever their share. */
const ORDINARY_LOSS = 10;
/** In the order of their paths, which begin with random letters. */
export const SAMPLE = 2000;
/** A share above this is a disk that is not mounted or a wrong path, not a loss. */
const HALF = 0.5;

/** `where`: the source in words; `path`: of its directory. Errors: `media-unreadable`. */
export function refuseLost(
  { rows, missing }: { readonly rows: number; readonly missing: number },
  where: string,
  path: string,
): void {
  const none = rows > 0 && missing === rows;
  if (!none && (missing <= ORDINARY_LOSS || missing <= rows * HALF)) return;
  throw new LifeboatError(
    'media-unreadable',
    `${missing} of ${rows} uploads of the database have no file in ${where}`,
    {
      hint: [
        'Mount the media store, or correct media_store_path, media.path or media.rsync.source.',
        'If these files are lost for good, set media.allow_missing: true in lifeboat.yaml.',
      ],
      context: { path, rows, missing },
    },
  );
}

/** Uploads of our own users at the source, before anything is stored: an empty mount point must not become a snapshot. */
export async function requireUploads(catalogue: MediaCatalogue, source: Tree): Promise<void> {
  if ((await source.names('')) === undefined) throw noSource(source);
  const uploads: string[] = [];
  for await (const row of catalogue.rows()) {
    if (row.mediaClass !== 'local_content') continue;
    if (uploads.push(row.path) === SAMPLE) break;
  }
  const missing = uploads.length - (await source.look('', uploads)).size;
  refuseLost({ rows: uploads.length, missing }, `the media store ${source.location}`, source.location);
}

export function noSource({ location }: Tree): LifeboatError {
  return new LifeboatError('media-unreadable', `the media store ${location} does not exist`, {
    hint: 'Correct media_store_path, media.path or media.rsync.source.',
  });
}
