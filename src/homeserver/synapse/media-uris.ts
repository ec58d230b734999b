import type { PostgresSession } from '../../database/port.ts';

const LOCAL = /^(?:local_content|local_thumbnails)\/([^/]+)\/([^/]+)\/([^/]+)/;
/** Ids of URL previews are `2017-09-28_random`, and lie below the day; very old ones as all others. */
const PREVIEW = /^url_cache\/(\d{4}-\d\d-\d\d)\/([^/]+)$/;
const OLD_PREVIEW = /^url_cache\/([^/]+)\/([^/]+)\/([^/]+)$/;
const REMOTE = /^(?:remote_content|remote_thumbnail)\/([^/]+)\/([^/]+)\/([^/]+)\/([^/]+)/;

/**
 * What clients call the files at these paths: `mxc://server/id`, each once, thumbnails by what they are of. A path that no
 * media can have stays as it is, and so does a file of another server that no row names: only a row knows its id.
 */
export async function mediaUris(
  session: PostgresSession,
  serverName: string,
  paths: readonly string[],
): Promise<readonly string[]> {
  const remote = await remoteIds(session, paths);
  return [...new Set(paths.map((path) => localUri(path, serverName) ?? remote.get(fileOf(path)) ?? path))];
}

function localUri(path: string, serverName: string): string | undefined {
  const [, day, rest] = PREVIEW.exec(path) ?? [];
  if (day !== undefined) return `mxc://${serverName}/${day}_${rest}`;
  const parts = LOCAL.exec(path) ?? OLD_PREVIEW.exec(path);
  return parts === null ? undefined : `mxc://${serverName}/${parts.slice(1).join('')}`;
}

/** `origin/filesystem_id`, the name of a remote file on the disk; empty of other paths. */
function fileOf(path: string): string {
  const [, origin, ...id] = REMOTE.exec(path) ?? [];
  return origin === undefined ? '' : `${origin}/${id.join('')}`;
}

async function remoteIds(
  session: PostgresSession,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const files = [...new Set(paths.map(fileOf).filter((file) => file !== ''))];
  if (files.length === 0) return new Map();
  const rows = await session.query<{ origin: string; file: string; id: string }>(
    `SELECT media_origin AS origin, filesystem_id AS file, media_id AS id FROM remote_media_cache
      WHERE (media_origin || '/' || filesystem_id) = ANY($1)`,
    [files],
  );
  return new Map(rows.map(({ origin, file, id }) => [`${origin}/${file}`, `mxc://${origin}/${id}`]));
}
