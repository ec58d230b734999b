import { LifeboatError } from '../core/errors.ts';

/** So few may always go: a night's prune of a young repository. */
const ALWAYS_ALLOWED = 3;
const LARGE_SHARE = 0.25;

/** A few snapshots a night are forgotten. More is a mistake, or somebody who steers it. Errors: `not-confirmed`. Pure. */
export function refuseLarge(forgotten: number, all: number, look: string): void {
  if (forgotten <= Math.max(ALWAYS_ALLOWED, all * LARGE_SHARE)) return;
  throw new LifeboatError('not-confirmed', `${forgotten} of ${all} snapshots would be forgotten at once`, {
    hint: `Look at ${look}; if that is what you want, add --allow-large.`,
    context: { forgotten, snapshots: all },
  });
}
