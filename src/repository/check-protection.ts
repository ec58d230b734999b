import { eachConcurrently } from '../core/each-concurrently.ts';
import type { ObjectStore } from '../storage/port.ts';
import type { Protection } from './port.ts';

/** Each costs one small request. */
const AT_ONCE = 16;

/**
 * Until when Object Lock protects these objects. What is missing is counted nowhere: that is a finding of its own. Undefined
 * where the store protects nothing.
 */
export async function checkProtection(
  store: ObjectStore,
  keys: Iterable<string>,
  now: Date,
): Promise<Protection | undefined> {
  if (!store.capabilities.objectLock) return undefined;
  let unprotected = 0;
  let objects = 0;
  let [earliest, latest]: (Date | undefined)[] = [];
  await eachConcurrently(keys, AT_ONCE, async (key) => {
    const stat = await store.stat(key);
    if (stat === undefined) return;
    objects += 1;
    const { lockedUntil } = stat;
    if (lockedUntil === undefined || lockedUntil <= now) {
      unprotected += 1;
      return;
    }
    if (earliest === undefined || lockedUntil < earliest) earliest = lockedUntil;
    if (latest === undefined || lockedUntil > latest) latest = lockedUntil;
  });
  return { objects, unprotected, earliest, latest };
}
