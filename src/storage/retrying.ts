import { setTimeout as sleep } from 'node:timers/promises';
import { isLifeboatError, type LifeboatError } from '../core/errors.ts';
import type { ObjectStat, ObjectStore } from './port.ts';

export interface RetryPolicy {
  /** Calls of one operation, the first included. */
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
}

/** Rides out about two minutes: a restart of the server or of a router, and S3's SlowDown. */
export const DEFAULT_RETRY: RetryPolicy = { attempts: 8, firstDelayMs: 500, longestDelayMs: 30_000 };

/** A few seconds, for somebody who sits before it. */
export const SHORT_RETRY: RetryPolicy = { attempts: 4, firstDelayMs: 500, longestDelayMs: 2000 };

export interface RetryHooks {
  readonly onRetry?: ((error: LifeboatError, attempt: number, delayMs: number) => void) | undefined;
  /** For tests. */
  readonly wait?: (delayMs: number) => Promise<unknown>;
  readonly random?: () => number;
}

/**
 * The same store, with transient errors (`LifeboatError.transient`) tried again after growing, random delays; permanent ones
 * are not. Every operation of the port may be repeated: a `put` that had succeeded before its answer was lost says `exists`.
 */
export function retrying(
  store: ObjectStore,
  policy: RetryPolicy = DEFAULT_RETRY,
  hooks: RetryHooks = {},
): ObjectStore {
  const { pause, repeat } = repeater(policy, hooks);

  /** A listing has no order to resume at: it begins again, and leaves out what was told already. */
  async function* list(prefix: string): AsyncGenerator<ObjectStat> {
    const told = new Set<string>();
    for (let attempt = 1; ; attempt += 1) {
      try {
        for await (const stat of store.list(prefix)) {
          if (told.has(stat.key)) continue;
          told.add(stat.key);
          yield stat;
        }
        return;
      } catch (error) {
        await pause(error, attempt);
      }
    }
  }

  const { protect, removeFolder, examine } = store;
  return {
    ...store,
    ...(protect && { protect: (keys) => repeat(() => protect(keys)) }),
    ...(removeFolder && { removeFolder: (name) => repeat(() => removeFolder(name)) }),
    ...(examine && { examine: (key) => repeat(() => examine(key)) }),
    put: (key, body) => repeat(() => store.put(key, body)),
    get: (key, range) => repeat(() => store.get(key, range)),
    stat: (key) => repeat(() => store.stat(key)),
    list,
    delete: (key) => repeat(() => store.delete(key)),
  };
}

/** `repeat` for what may be done again, `pause` for what goes on where it was: it waits before the next attempt, or throws when there is none. */
export function repeater(policy: RetryPolicy = DEFAULT_RETRY, hooks: RetryHooks = {}) {
  const wait = hooks.wait ?? sleep;
  const random = hooks.random ?? Math.random;

  const pause = async (error: unknown, attempt: number): Promise<void> => {
    if (!isLifeboatError(error) || !error.transient || attempt >= policy.attempts) throw error;
    // Full jitter: clients that failed together do not come back together.
    const bound = Math.min(policy.longestDelayMs, policy.firstDelayMs * 2 ** (attempt - 1));
    const delayMs = Math.round(bound * (0.5 + random() / 2));
    hooks.onRetry?.(error, attempt, delayMs);
    await wait(delayMs);
  };

  const repeat = async <T>(operation: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await operation();
      } catch (error) {
        await pause(error, attempt);
      }
    }
  };
  return { pause, repeat };
}
