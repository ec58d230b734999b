import type { PostgresSession } from '../../database/port.ts';

/** Some of what a database holds, for questions that another server might ask. */
export interface Samples {
  readonly users: readonly string[];
  readonly aliases: readonly string[];
  readonly media: readonly {
    readonly mediaId: string;
    readonly sha256: string | null;
    readonly sizeBytes: number;
  }[];
}

const USERS = 3;
const ALIASES = 2;
const MEDIA = 5;

/** Where it lies in the media store (synapse/media/filepath.py). */
function pathOf(mediaId: string): string {
  return `local_content/${mediaId.slice(0, 2)}/${mediaId.slice(2, 4)}/${mediaId.slice(4)}`;
}

/** Users that are not deactivated, local aliases, and media that are uploaded and not quarantined; drawn at random. None of the media whose path is known to have no file. */
export async function drawSamples(
  session: PostgresSession,
  serverName: string,
  missingMedia: ReadonlySet<string> = new Set(),
): Promise<Samples> {
  const users = await session.query<{ name: string }>(
    `SELECT name FROM users WHERE deactivated = 0 AND coalesce(is_guest, 0) = 0 AND appservice_id IS NULL ORDER BY random() LIMIT ${USERS}`,
  );
  const aliases = await session.query<{ name: string }>(
    `SELECT room_alias AS name FROM room_aliases WHERE split_part(room_alias, ':', 2) = split_part($1, ':', 1) ORDER BY random() LIMIT ${ALIASES}`,
    [serverName],
  );
  const media: Samples['media'][number][] = [];
  const drawn = session.stream<{ mediaId: string; sha256: string | null; sizeBytes: number }>(
    `SELECT media_id AS "mediaId", to_jsonb(m) ->> 'sha256' AS sha256, media_length AS "sizeBytes" FROM local_media_repository m
     WHERE media_length IS NOT NULL AND quarantined_by IS NULL AND url_cache IS NULL ORDER BY random()`,
  );
  for await (const each of drawn) {
    if (missingMedia.has(pathOf(each.mediaId))) continue;
    media.push(each);
    if (media.length === MEDIA) break;
  }
  return { users: users.map(({ name }) => name), aliases: aliases.map(({ name }) => name), media };
}
