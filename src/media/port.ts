import type { BucketPlace } from '../storage/bucket.ts';

/** The database as the catalogue of media: every row says which file must exist and, where known, its hash and size. */
export interface MediaCatalogue {
  /** In path order; never all in memory. */
  rows(): AsyncIterable<CatalogueRow>;
  /** How many rows there will be, where that is cheap to know: for people who wait. Not while rows are read. */
  count?(): Promise<number>;
}

export interface CatalogueRow {
  /** Relative to the media store. */
  readonly path: string;
  readonly mediaClass:
    'local_content' | 'local_thumbnails' | 'remote_content' | 'remote_thumbnail' | 'url_cache';
  /** Null in rows that do not say. */
  readonly sizeBytes: number | null;
  /** Lower-case hex; null in old rows and for thumbnails. */
  readonly sha256: string | null;
}

/** A bucket that holds files of the media store; the key of each is `prefix`, as it stands there, and its path. */
export interface MediaBucket extends BucketPlace {
  readonly prefix: string;
}
