import { LifeboatError } from '../core/errors.ts';
import type { BucketPlace } from '../storage/bucket.ts';
import { parseLocation } from '../storage/location.ts';

/** Where the media of a manifest lie: `place` as `repository.path` has it, `generation` below. Errors: `usage`. */
export function parseS3Media(
  place: string,
  generation: string,
): Pick<BucketPlace, 'endpoint' | 'bucket'> & { readonly prefix: string } {
  const location = parseLocation(place);
  if (location.kind !== 's3') throw new LifeboatError('usage', `${place} is not the place of a bucket`);
  const { endpoint, bucket, prefix } = location;
  return { endpoint, bucket, prefix: `${prefix === '' ? '' : `${prefix}/`}${generation}/` };
}
