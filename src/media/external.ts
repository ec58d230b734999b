import { Readable } from 'node:stream';
import type { StorePlace } from '../config/store.ts';
import { LifeboatError } from '../core/errors.ts';
import type { BucketPlace } from '../storage/bucket.ts';
import type { ExternalPlace, MediaComponent, MediaFile } from '../repository/manifest.ts';
import { openBucket, openStore } from '../storage/open.ts';
import type { ObjectStore } from '../storage/port.ts';
import { parseS3Media } from './s3-place.ts';

/** How servers outside of the repository are reached; the manifest says where the media are, and no secret. */
export type MediaAccess = Pick<StorePlace, 'sftp'> & {
  readonly s3?: Omit<BucketPlace, 'endpoint' | 'bucket'> | undefined;
  /** Where the place is found today, when not where the manifest says: a disk that is mounted elsewhere. */
  readonly place?: string | undefined;
};

/** The media of one snapshot that lie in clear at another place. */
export interface ExternalMedia {
  /**
   * Nothing that is read is to be believed before its SHA-256 is compared. The stream fails with `object-missing` when there is
   * no such file, with those of `ObjectStore.get` otherwise.
   */
  read(file: Pick<MediaFile, 'path' | 'sizeBytes' | 'object'>): Readable;
}

/** So much of a large file is asked for at once, in bytes. */
const PIECE_BYTES = 8 * 1024 * 1024;

/** Undefined of media that are in the repository. Errors: `usage`; a server is asked at the first read. */
export async function openExternalMedia(
  media: MediaComponent,
  access: MediaAccess,
): Promise<ExternalMedia | undefined> {
  if (media.strategy === 'repository') return undefined;
  if (media.strategy === 's3-sync') return await openS3Media(media.external, access);
  const store = await openStore({ sftp: access.sftp, path: below(media.external, access.place) });
  return { read: (file) => Readable.from(pieces(store, file), { objectMode: false }) };
}

/** Exactly the version of the snapshot, where it is there still; whatever else is there must have its SHA-256 too. */
async function openS3Media(
  { place, generation }: ExternalPlace,
  access: MediaAccess,
): Promise<ExternalMedia> {
  const { prefix, ...at } = parseS3Media(access.place ?? place, generation);
  const bucket = await openBucket({ ...access.s3, ...at });
  // Another bucket has other versions.
  const versioned = access.place === undefined || access.place === place;
  const content = async function* ({ path, sizeBytes, object }: Parameters<ExternalMedia['read']>[0]) {
    const key = prefix + (object?.key ?? path);
    const versionId = versioned ? object?.versionId : undefined;
    for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
      const range = { offset, length: Math.min(PIECE_BYTES, sizeBytes - offset) };
      const piece =
        (versionId === undefined ? undefined : await bucket.get(key, { range, versionId })) ??
        (await bucket.get(key, { range }));
      if (piece === undefined)
        throw new LifeboatError('object-missing', `object ${key} is missing from ${bucket.location}`);
      if (piece === 'changed')
        throw new LifeboatError('content-damaged', `object ${key} of ${bucket.location} is cut`);
      yield piece;
    }
  };
  return { read: (file) => Readable.from(content(file), { objectMode: false }) };
}

function below({ place, generation }: ExternalPlace, elsewhere: string | undefined): string {
  return `${(elsewhere ?? place).replace(/\/+$/, '')}/${generation}`;
}

async function* pieces(
  store: ObjectStore,
  { path, sizeBytes }: Pick<MediaFile, 'path' | 'sizeBytes'>,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset <= sizeBytes; offset += PIECE_BYTES) {
    // One byte more than there should be: a file that has grown is noticed.
    const length = Math.min(PIECE_BYTES, sizeBytes - offset + 1);
    const piece = await store.get(path, { offset, length });
    yield piece;
    if (piece.length < length) return;
  }
}
