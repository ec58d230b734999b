import type { Config } from '../../config/index.ts';
import { messageOf } from '../../core/errors.ts';
import type { Progress } from '../../observe/progress.ts';
import { mediaCacheTask } from './plan.ts';
import { adminOf } from './run.ts';

/** What is not cached any more need not be looked at. A purge that fails keeps no backup from being taken: it is told. */
export async function purgeBeforeBackup(
  settings: Config['maintenance'],
  { progress, signal }: { readonly progress: Progress; readonly signal?: AbortSignal | undefined },
): Promise<readonly string[]> {
  const { purgeMediaCacheMs, purgeMediaCacheBeforeBackup, homeserver } = settings;
  if (!purgeMediaCacheBeforeBackup || purgeMediaCacheMs === undefined) return [];
  const { beforeMs } = mediaCacheTask(purgeMediaCacheMs, Date.now());
  progress({ phase: 'discover', message: 'purging the media cache of the homeserver' });
  try {
    const removed = await adminOf({ homeserver, signal }).purgeMediaCache(beforeMs);
    progress({ phase: 'discover', message: `${removed} cached media removed` });
    return [];
  } catch (error) {
    signal?.throwIfAborted();
    return [`the media cache was not purged: ${messageOf(error)}`];
  }
}
