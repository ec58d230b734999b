import type { StorePlace } from '../config/index.ts';
import { systemClock } from '../core/clock.ts';
import type { Bucket, BucketPlace } from './bucket.ts';
import { limited } from './limited.ts';
import { openLocalStore } from './local.ts';
import { parseLocation } from './location.ts';
import type { ObjectStore } from './port.ts';
import { DEFAULT_RETRY, retrying, SHORT_RETRY, type RetryHooks } from './retrying.ts';

/**
 * The store at a place, with its limits; what fails for the moment is tried again.
 * Errors: `usage` (not a place), `secret-unreadable`, `file-unreadable`; a server is asked at the first operation.
 */
export async function openStore(place: StorePlace, onRetry?: RetryHooks['onRetry']): Promise<ObjectStore> {
  return withLimits(place, retrying(await openBare(place), DEFAULT_RETRY, { onRetry }));
}

/**
 * The same for a probe: Object Lock would keep what it writes for days, and versions for ever, so neither is made.
 * Errors: as `openStore`.
 */
export async function openForProbe(place: StorePlace): Promise<ObjectStore> {
  const s3 = place.s3 && { ...place.s3, objectLock: undefined };
  const store = await openBare({ ...place, s3 }, { deleteVersions: true });
  return withLimits(place, retrying(store, SHORT_RETRY));
}

/** A bucket with media. Errors: `usage`, `file-unreadable`; the server is asked at the first operation. */
export async function openBucket(place: BucketPlace): Promise<Bucket> {
  const { openS3Bucket } = await import('./s3/bucket.ts');
  return openS3Bucket(place);
}

function withLimits({ uploadLimit, downloadLimit }: StorePlace, store: ObjectStore): ObjectStore {
  return limited(store, { upload: uploadLimit, download: downloadLimit }, systemClock);
}

async function openBare(
  place: StorePlace,
  onlyS3: { readonly deleteVersions?: boolean } = {},
): Promise<ObjectStore> {
  const location = parseLocation(place.path);
  if (location.kind === 'local') return openLocalStore(location.directory);
  if (location.kind === 'sftp') {
    const { openSftpStore } = await import('./sftp/store.ts');
    const { identityFile, knownHostsFile, options } = place.sftp ?? {};
    return openSftpStore({ ...location, identityFile, knownHostsFile, sshOptions: options });
  }
  // AWS's SDK takes a tenth of a second to load, which nobody else should wait for.
  const { openS3Store } = await import('./s3/store.ts');
  return openS3Store({ ...location, ...place.s3, ...onlyS3 });
}
