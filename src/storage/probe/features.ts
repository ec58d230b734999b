import type { StoreFeatures } from '../port.ts';
import type { ProbeFinding } from './probe.ts';

/** What the server says of itself, in the same terms as what was tried. `lockDays`: what lifeboat.yaml asks for. Pure. */
export function featureFindings(
  features: StoreFeatures | undefined,
  lockDays: number | undefined,
): readonly ProbeFinding[] {
  if (features === undefined) return [];
  return [checksums(features), objectLock(features, lockDays), versions(features)];
}

function checksums({ checksums: verified }: StoreFeatures): ProbeFinding {
  const title = 'checksums';
  return verified
    ? {
        title,
        result: 'ok',
        observed: 'an object that was damaged on its way was refused',
        meaning: 'nothing is stored damaged',
      }
    : {
        title,
        result: 'absent',
        observed: 'an object that was damaged on its way was taken',
        meaning: 'use https, and `lifeboat check --read-data` now and then',
      };
}

function objectLock(
  { objectLock: state, defaultLockDays }: StoreFeatures,
  lockDays: number | undefined,
): ProbeFinding {
  const title = 'Object Lock';
  const wanted = lockDays === undefined ? '' : `; lifeboat.yaml asks for ${lockDays} days`;
  if (state === 'unknown')
    return {
      title,
      result: 'unknown',
      observed: `these credentials may not ask (s3:GetBucketObjectLockConfiguration)${wanted}`,
      meaning: 'ask whoever made the bucket',
    };
  if (state === 'off')
    return {
      title,
      result: lockDays === undefined ? 'absent' : 'failed',
      observed: `the bucket was made without it${wanted}`,
      meaning:
        lockDays === undefined
          ? 'who has credentials that delete can delete backups: see docs/stores.md'
          : 'every object would be refused: make a bucket with Object Lock, or take object_lock out of lifeboat.yaml',
    };
  const rule =
    defaultLockDays === undefined ? '' : `, and protects everything for ${defaultLockDays} days by itself`;
  return {
    title,
    result: 'ok',
    observed: `the bucket has it${rule}${wanted}`,
    meaning:
      lockDays === undefined
        ? 'set s3.object_lock in lifeboat.yaml to make use of it'
        : 'backups are protected from deletion',
  };
}

function versions({ versioning }: StoreFeatures): ProbeFinding {
  const title = 'versions';
  if (versioning === undefined)
    return {
      title,
      result: 'unknown',
      observed: 'these credentials may not ask (s3:GetBucketVersioning)',
      meaning: 'where the bucket keeps versions, let a lifecycle rule expire old ones',
    };
  return versioning
    ? {
        title,
        result: 'ok',
        observed: 'the bucket keeps them',
        meaning: 'a delete only hides: let a lifecycle rule expire noncurrent versions',
      }
    : { title, result: 'absent', observed: 'the bucket keeps none', meaning: 'a deleted object is gone' };
}
