import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import type { ObjectStore } from './port.ts';

export interface Limits {
  /** Bytes a second; undefined: no limit. */
  readonly upload: number | undefined;
  readonly download: number | undefined;
}

/**
 * The same store, never faster than so many bytes a second on average. The limit is kept over objects, not within one: a pack of
 * 32 MiB goes at the speed of the line, and the next one waits.
 */
export function limited(
  store: ObjectStore,
  limits: Limits,
  clock: Pick<Clock, 'monotonicMs'>,
  wait: (delayMs: number) => Promise<unknown> = sleep,
): ObjectStore {
  if (limits.upload === undefined && limits.download === undefined) return store;
  const upload = createPace(limits.upload, clock, wait);
  const download = createPace(limits.download, clock, wait);
  return {
    ...store,
    async put(key, body) {
      await upload(body.length);
      return await store.put(key, body);
    },
    async get(key, range) {
      const bytes = await store.get(key, range);
      // Afterwards, because the size is known only then: the next one pays.
      await download(bytes.length);
      return bytes;
    },
  };
}

/** Each call waits until what was passed before has had its time, and takes its own. */
function createPace(
  bytesPerSecond: number | undefined,
  clock: Pick<Clock, 'monotonicMs'>,
  wait: (delayMs: number) => Promise<unknown>,
): (bytes: number) => Promise<void> {
  if (bytesPerSecond === undefined) return () => Promise.resolve();
  let freeAt = -Infinity;
  return async (bytes) => {
    const now = clock.monotonicMs();
    const start = Math.max(now, freeAt);
    freeAt = start + (bytes / bytesPerSecond) * 1000;
    if (start > now) await wait(start - now);
  };
}
