import type { PostgresSession } from '../../database/port.ts';
import { readSchema } from './schema.ts';
import { readSequences } from './streams.ts';

/**
 * Tables that are dumped without their rows. One-time keys only: a key that was given out since the backup would be given
 * out again, and messages to that device could not be decrypted (Synapse docs, backups.md; element-meta #2155).
 */
export const EXCLUDED_TABLE_DATA: readonly string[] = ['e2e_one_time_keys_json'];

export interface CleanseResult {
  readonly oneTimeKeysRemoved: number;
  /** Rows of remote_media_cache. */
  readonly remoteMediaForgotten: number;
  readonly sequencesAdvanced: readonly {
    readonly sequence: string;
    readonly from: number;
    readonly to: number;
  }[];
  /** The same as sentences, for the report; empty when nothing had to be done. */
  readonly changes: readonly string[];
}

/**
 * What a restored copy needs before its first start, in one transaction. Idempotent. Needs the owner's rights.
 * Remote media are not part of a snapshot; with its row and without its file Synapse answers 404 for ever (#1555), without
 * the row it fetches the file again. Quarantined rows stay, so that what was blocked stays blocked.
 */
export async function cleanse(
  session: PostgresSession,
  options: { readonly remoteMediaRestored?: boolean } = {},
): Promise<CleanseResult> {
  await session.query('BEGIN');
  try {
    const oneTimeKeysRemoved = await removeOneTimeKeys(session);
    const remoteMediaForgotten = options.remoteMediaRestored === true ? 0 : await forgetRemoteMedia(session);
    const sequencesAdvanced = await advanceSequences(session);
    await session.query('COMMIT');
    const changes = [
      ...(oneTimeKeysRemoved > 0 ? [`${oneTimeKeysRemoved} one-time keys removed`] : []),
      ...(remoteMediaForgotten > 0
        ? [`${remoteMediaForgotten} cached remote media forgotten, so that they are fetched again`]
        : []),
      ...sequencesAdvanced.map(
        ({ sequence, from, to }) => `sequence ${sequence} advanced from ${from} to ${to}`,
      ),
    ];
    return { oneTimeKeysRemoved, remoteMediaForgotten, sequencesAdvanced, changes };
  } catch (error) {
    await session.query('ROLLBACK');
    throw error;
  }
}

async function removeOneTimeKeys(session: PostgresSession): Promise<number> {
  const [row] = await session.query<{ count: string }>(
    'SELECT count(*) AS count FROM e2e_one_time_keys_json',
  );
  await session.query('TRUNCATE e2e_one_time_keys_json');
  return Number(row!.count);
}

async function forgetRemoteMedia(session: PostgresSession): Promise<number> {
  const [row] = await session.query<{ count: string }>(
    'WITH gone AS (DELETE FROM remote_media_cache WHERE quarantined_by IS NULL RETURNING 1) SELECT count(*) AS count FROM gone',
  );
  await session.query('DELETE FROM remote_media_cache_thumbnails');
  return Number(row!.count);
}

async function advanceSequences(session: PostgresSession): Promise<CleanseResult['sequencesAdvanced']> {
  const advanced: { sequence: string; from: number; to: number }[] = [];
  for (const { sequence, lastValue, tableMax, positionMax } of await readSequences(
    session,
    await readSchema(session),
  )) {
    const to = Math.max(tableMax, positionMax);
    if (lastValue >= to) continue;
    await session.query('SELECT setval($1::regclass, $2)', [sequence, to]);
    advanced.push({ sequence, from: lastValue, to });
  }
  return advanced;
}
