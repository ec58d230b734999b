import { Readable } from 'node:stream';
import type { StorePlace } from '../config/store.ts';
import type { ExternalPlace, MediaComponent, MediaFile } from '../repository/manifest.ts';
import { openStore } from '../storage/open.ts';
import type { ObjectStore } from '../storage/port.ts';

/** How servers outside of the repository are reached; the manifest says where the media are, and no secret. */
export type MediaAccess = Pick<StorePlace, 's3' | 'sftp'> & {
  /** Where the place is found today, when not where the manifest says: a disk that is mounted elsewhere. */
  readonly place?: string | undefined;
};

/** The media of one snapshot that lie in clear at another place. */
export interface ExternalMedia {
  /**
   * Nothing that is read is to be believed before its SHA-256 is compared. The stream fails with `object-missing` when there is
   * no such file, with those of `ObjectStore.get` otherwise.
   */
  read(file: Pick<MediaFile, 'path' | 'sizeBytes'>): Readable;
}

/** So much of a large file is asked for at once, in bytes. */
const PIECE_BYTES = 8 * 1024 * 1024;

/** Undefined of media that are in the repository. Errors: `usage`; a server is asked at the first read. */
export async function openExternalMedia(
  media: MediaComponent,
  access: MediaAccess,
): Promise<ExternalMedia | undefined> {
  if (media.strategy === 'repository') return undefined;
  const store = await openStore({ ...access, path: below(media.external, access.place) });
  return { read: (file) => Readable.from(pieces(store, file), { objectMode: false }) };
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
