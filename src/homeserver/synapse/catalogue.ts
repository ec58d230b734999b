import type { PostgresSession } from '../../database/port.ts';
import type { CatalogueRow, MediaCatalogue } from '../../media/port.ts';
import { hasColumn, readSchema, type Schema } from './schema.ts';

/** `aa/bb/rest` of a media id (synapse/media/filepath.py); ids are letters of ASCII, so characters are bytes. */
const spread = (id: string): string =>
  `substr(${id}, 1, 2) || '/' || substr(${id}, 3, 2) || '/' || substr(${id}, 5)`;
/** `image/png` -> `image-png` */
const thumbnailName = `thumbnail_width || '-' || thumbnail_height || '-' || replace(thumbnail_type, '/', '-') || '-' || thumbnail_method`;

type MediaClass = CatalogueRow['mediaClass'];

/** What cannot be fetched again from anywhere, and what is costly to make again. */
const DEFAULT_CLASSES: readonly MediaClass[] = ['local_content', 'local_thumbnails'];

interface ClassQuery {
  readonly table: string;
  readonly sql: (sha256: string) => string;
}

/**
 * A row without length was announced and never uploaded: no file. Quarantined media keep their file. Media made by URL
 * previews lie elsewhere (url_cache). In the order of the folders' names, so that all rows together are in path order.
 */
const QUERIES: Readonly<Record<MediaClass, ClassQuery>> = {
  local_content: {
    table: 'local_media_repository',
    sql: (
      sha256,
    ) => `SELECT 'local_content/' || ${spread('media_id')} AS path, media_length AS size, ${sha256} AS sha256
      FROM local_media_repository WHERE media_length IS NOT NULL AND url_cache IS NULL`,
  },
  local_thumbnails: {
    table: 'local_media_repository_thumbnails',
    sql: () => `SELECT 'local_thumbnails/' || ${spread('t.media_id')} || '/' || ${thumbnailName} AS path, thumbnail_length AS size, NULL AS sha256
      FROM local_media_repository_thumbnails t JOIN local_media_repository m USING (media_id) WHERE m.url_cache IS NULL`,
  },
  remote_content: {
    table: 'remote_media_cache',
    sql: (
      sha256,
    ) => `SELECT 'remote_content/' || media_origin || '/' || ${spread('filesystem_id')} AS path, media_length AS size, ${sha256} AS sha256
      FROM remote_media_cache`,
  },
  remote_thumbnail: {
    table: 'remote_media_cache_thumbnails',
    sql: () => `SELECT 'remote_thumbnail/' || media_origin || '/' || ${spread('filesystem_id')} || '/' || ${thumbnailName} AS path,
      thumbnail_length AS size, NULL AS sha256 FROM remote_media_cache_thumbnails`,
  },
  url_cache: {
    table: 'local_media_repository',
    // Ids of URL previews are `2017-09-28-random`, or, very old, like all others.
    sql: (
      sha256,
    ) => `SELECT 'url_cache/' || CASE WHEN media_id ~ '^\\d{4}-\\d\\d-\\d\\d' THEN substr(media_id, 1, 10) || '/' || substr(media_id, 12)
      ELSE ${spread('media_id')} END AS path, media_length AS size, ${sha256} AS sha256
      FROM local_media_repository WHERE media_length IS NOT NULL AND url_cache IS NOT NULL`,
  },
};

/** Every media file that this database expects, through a cursor, inside the caller's transaction. */
export function synapseCatalogue(
  session: PostgresSession,
  classes: readonly string[] = DEFAULT_CLASSES,
): MediaCatalogue {
  return { rows: () => rows(session, classes), count: () => countRows(session, classes) };
}

async function* rows(session: PostgresSession, classes: readonly string[]): AsyncGenerator<CatalogueRow> {
  const schema = await readSchema(session);
  for (const mediaClass of wanted(classes)) yield* rowsOfClass(session, schema, mediaClass);
}

async function countRows(session: PostgresSession, classes: readonly string[]): Promise<number> {
  const schema = await readSchema(session);
  let count = 0;
  for (const { table, sql } of wanted(classes).map((mediaClass) => QUERIES[mediaClass])) {
    if (!schema.has(table)) continue;
    const [row] = await session.query<{ rows: number }>(
      `SELECT count(*) AS rows FROM (${sql('NULL')}) AS media`,
    );
    count += row?.rows ?? 0;
  }
  return count;
}

function wanted(classes: readonly string[]): MediaClass[] {
  return (Object.keys(QUERIES) as MediaClass[]).filter((each) => classes.includes(each));
}

async function* rowsOfClass(
  session: PostgresSession,
  schema: Schema,
  mediaClass: MediaClass,
): AsyncGenerator<CatalogueRow> {
  const { table, sql } = QUERIES[mediaClass];
  if (!schema.has(table)) return;
  // The column came with schema 91.
  const select = sql(hasColumn(schema, table, 'sha256') ? 'sha256' : 'NULL');
  const stream = session.stream<{ path: string; size: number | string | null; sha256: string | null }>(
    `SELECT path, size, sha256 FROM (${select}) AS media ORDER BY path COLLATE "C"`,
  );
  for await (const { path, size, sha256 } of stream) {
    yield {
      path,
      mediaClass,
      sizeBytes: size === null ? null : Number(size),
      sha256: sha256?.toLowerCase() ?? null,
    };
  }
}
