import { z } from './zod.ts';
import { parseDuration } from '../core/units.ts';
import type { Secret } from '../core/secret.ts';
import { secret, type SecretReference } from './store.ts';

const duration = z
  .string()
  .refine((text) => (parseDuration(text) ?? 0) > 0, 'must be a duration such as 90d')
  .transform((text) => parseDuration(text) ?? 0);

/** All off by default: what is not named here is not done. */
export const maintenanceSchema = z
  .strictObject({
    vacuum: z.boolean().default(false).describe('VACUUM (ANALYZE) of every table.'),
    reindex: z
      .array(z.string().min(1))
      .default([])
      .describe('Indexes to build anew, beside the old ones (CONCURRENTLY).'),
    reindex_bloated: z
      .int()
      .min(10)
      .max(99)
      .optional()
      .describe(
        'Also every B-tree index of 10 MiB and more of which so many percent are estimated to be empty.',
      ),
    homeserver_url: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('Client address of the homeserver, for the three below: http://localhost:8008.'),
    admin_token: secret
      .optional()
      .describe('Access token of a server admin: text with ${ENV}, {file: path} or {env: NAME}.'),
    purge_media_cache: duration
      .optional()
      .describe('Removes cached media of other servers that nobody has asked for in this time.'),
    purge_media_cache_before_backup: z
      .boolean()
      .default(false)
      .describe('Does that at the beginning of each backup as well.'),
    purge_history: z
      .array(
        z.strictObject({
          room: z.string().regex(/^![^\s/?#]+$/, 'must be a room id, which begins with !'),
          older_than: duration,
          delete_local_events: z.boolean().default(false),
        }),
      )
      .default([])
      .describe(
        'Rooms that lose their older events, each with room, older_than and delete_local_events. There is no way back.',
      ),
  })
  .prefault({})
  .refine(
    (given) =>
      (given.purge_media_cache === undefined && given.purge_history.length === 0) ||
      (given.homeserver_url !== undefined && given.admin_token !== undefined),
    { path: ['homeserver_url'], message: 'is missing, or admin_token: the purges need both' },
  )
  .describe('What `lifeboat maintenance` does. All of it is off by default.');

export interface Maintenance {
  readonly vacuum: boolean;
  readonly reindex: readonly string[];
  /** Percent. */
  readonly reindexBloated: number | undefined;
  readonly homeserver: { readonly url: string; readonly adminToken: Secret } | undefined;
  readonly purgeMediaCacheMs: number | undefined;
  readonly purgeMediaCacheBeforeBackup: boolean;
  readonly purgeHistory: readonly HistoryPurge[];
}

export interface HistoryPurge {
  readonly room: string;
  readonly olderThanMs: number;
  readonly deleteLocalEvents: boolean;
}

export async function toMaintenance(
  given: z.output<typeof maintenanceSchema>,
  read: (token: SecretReference | undefined) => Promise<Secret | undefined>,
): Promise<Maintenance> {
  const adminToken = await read(given.admin_token);
  const url = given.homeserver_url;
  return {
    vacuum: given.vacuum,
    reindex: given.reindex,
    reindexBloated: given.reindex_bloated,
    homeserver: url === undefined || adminToken === undefined ? undefined : { url, adminToken },
    purgeMediaCacheMs: given.purge_media_cache,
    purgeMediaCacheBeforeBackup: given.purge_media_cache_before_backup,
    purgeHistory: given.purge_history.map((each) => ({
      room: each.room,
      olderThanMs: each.older_than,
      deleteLocalEvents: each.delete_local_events,
    })),
  };
}
