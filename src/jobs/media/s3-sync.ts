import type { S3SyncSettings } from '../../config/index.ts';
import { inOrder } from '../../core/in-order.ts';
import { isLifeboatError } from '../../core/errors.ts';
import { openMediaDirectory } from '../../media/directory.ts';
import type { CatalogueRow, MediaBucket } from '../../media/port.ts';
import { createBucketSync, type BucketSync, type Copied } from '../../media/s3-sync.ts';
import { parseS3Media } from '../../media/s3-place.ts';
import { readSeenFiles, writeSeenFiles, type Comparison, type SeenFile } from '../../media/seen-files.ts';
import { createSyncSource } from '../../media/sync-source.ts';
import { openBucket } from '../../storage/open.ts';
import { orphansAt } from '../backup-media.ts';
import { boundedList, sentence, told } from './bounded-list.ts';
import type { MediaOutcome, MediaRun } from './strategy.ts';

/** Below the prefix of the target: one tree for all snapshots, each object once. */
const GENERATION = 'media';
/** Requests at a time. */
const AT_ONCE = 8;
/** As in `backup-media.ts`. */
const SETTLED_MS = 2000;

export interface S3SyncEnds {
  readonly settings: S3SyncSettings;
  readonly directory: string;
  /** Of the homeserver's storage provider. */
  readonly bucket: MediaBucket | undefined;
}

/** Media from bucket and directory into another bucket, in clear. */
export async function syncToBucket(run: MediaRun, ends: S3SyncEnds): Promise<MediaOutcome> {
  const place = parseS3Media(ends.settings.place, GENERATION);
  const target = await openBucket({ ...ends.settings, ...place });
  const from = ends.bucket && { bucket: await openBucket(ends.bucket), prefix: ends.bucket.prefix };
  try {
    const directory = await openMediaDirectory(ends.directory);
    const sync = createBucketSync({
      source: createSyncSource(directory, from),
      target,
      prefix: place.prefix,
      serverSideFrom: sameServer(ends, place.endpoint) ? ends.bucket?.bucket : undefined,
    });
    const root = `${directory.root} + ${from?.bucket.location ?? ''}/${from?.prefix ?? ''} -> ${ends.settings.place}`;
    const versions = await target.versioning();
    const { rows, comparison } = await syncRows(run, ends, sync, root);
    const { orphans } = comparison;
    return {
      component: {
        ...rows.totals,
        strategy: 's3-sync',
        external: { place: ends.settings.place, generation: GENERATION },
        missing: rows.missing.listed,
        missingCount: rows.missing.count(),
        orphans: orphans.listed,
        orphanCount: orphans.count,
        comparedAt: comparison.at.toISOString(),
      },
      gone: rows.gone.listed,
      omissions: [
        ...told(rows.missing, 'media rows have no file'),
        ...told(rows.gone, 'media files are gone, and the snapshot has the copy that was made before'),
        ...told(rows.differing, 'media files differ from the SHA-256 in the database'),
      ],
      warnings: [
        ...sentence(orphans.listed, orphans.count, 'media files have no row in the database'),
        ...(versions === false
          ? [
              `${target.location} keeps no versions: what is deleted or overwritten there is lost to all snapshots`,
            ]
          : []),
      ],
    };
  } finally {
    target.close();
    from?.bucket.close();
  }
}

/** The target's server reaches the source bucket by the same key. */
function sameServer({ settings, bucket }: S3SyncEnds, endpoint: string | undefined): boolean {
  const bare = (text: string | undefined) => text?.replace(/\/+$/, '');
  return (
    bucket !== undefined &&
    bare(bucket.endpoint) === bare(endpoint) &&
    bucket.accessKeyId === settings.accessKeyId
  );
}

async function syncRows(run: MediaRun, ends: S3SyncEnds, sync: BucketSync, root: string) {
  const before = readSeenFiles(run.seenFile, root);
  const { compared } = before;
  const age = compared === undefined ? Infinity : run.now.getTime() - compared.at.getTime();
  const comparison: Comparison =
    compared !== undefined && age >= 0 && age < run.compareEveryMs
      ? compared
      : { at: run.now, orphans: await orphansAt(run, ends.directory, ends.bucket) };
  const seen = await writeSeenFiles(run.seenFile, root, comparison);
  const missing = boundedList((path) => path.startsWith('local_content/'));
  const [differing, gone] = [boundedList(), boundedList()];
  const totals = { files: 0, bytes: 0 };
  const one = async (row: CatalogueRow) => {
    const earlier = recalled(before.find(row.path));
    return { synced: await syncRow(sync, row, earlier), earlier };
  };
  try {
    for await (const { item: row, made } of inOrder(rowsOf(run), AT_ONCE, one)) {
      run.signal?.throwIfAborted();
      const { synced, earlier } = made;
      if (synced === undefined) {
        missing.add(row.path);
        continue;
      }
      const { key, sizeBytes, sha256, versionId } = synced.copied;
      if (row.sha256 !== null && row.sha256 !== sha256) differing.add(row.path);
      if (synced.located === undefined) {
        gone.add(row.path);
        // Forgotten, it would be missing from the next snapshot, though its copy is there.
        seen.keep(remembered(row.path, earlier?.stamp ?? '', synced.copied));
      } else if (run.now.getTime() - synced.located.changedMs >= SETTLED_MS)
        seen.keep(remembered(row.path, synced.located.stamp, synced.copied));
      const object = { ...(key !== row.path && { key }), ...(versionId !== undefined && { versionId }) };
      await run.writer.addMedia({
        ...{ path: row.path, mediaClass: row.mediaClass, sizeBytes, sha256, blobs: [] },
        ...(Object.keys(object).length > 0 && { object }),
      });
      totals.files += 1;
      totals.bytes += sizeBytes;
      run.progress({ phase: 'media', done: totals.files, unit: 'files', bytes: totals.bytes });
    }
    seen.finish();
  } finally {
    seen.discard();
    before.close();
  }
  return { rows: { missing, gone, differing, totals }, comparison };
}

async function* rowsOf({ catalogue, classes }: MediaRun): AsyncGenerator<CatalogueRow> {
  for await (const row of catalogue.rows()) if (classes.includes(row.mediaClass)) yield row;
}

/** A file that went, or was replaced, between the look and the copy is looked for once more. */
async function syncRow(sync: BucketSync, row: CatalogueRow, earlier: Earlier | undefined) {
  try {
    return await sync.sync(row, earlier);
  } catch (error) {
    if (!isLifeboatError(error, 'media-changed') && !isLifeboatError(error, 'object-missing')) throw error;
    return await sync.sync(row, undefined).catch((again: unknown) => {
      if (isLifeboatError(again, 'object-missing')) return undefined;
      throw again;
    });
  }
}

type Earlier = Copied & { readonly stamp: string };

/** The stamp of `seen-files.ts` holds what the copy was made from, and where it lies. */
function remembered(
  path: string,
  stamp: string,
  { key, etag, versionId, sizeBytes, sha256 }: Copied,
): SeenFile {
  return { path, stamp: JSON.stringify([stamp, key, etag, versionId ?? null, sizeBytes]), sha256 };
}

function recalled(seen: SeenFile | undefined): Earlier | undefined {
  if (seen === undefined) return undefined;
  try {
    const [stamp, key, etag, version, sizeBytes] = JSON.parse(seen.stamp) as unknown[];
    if ([stamp, key, etag].some((each) => typeof each !== 'string') || typeof sizeBytes !== 'number')
      return undefined;
    const copied = { key: key as string, etag: etag as string, sizeBytes, sha256: seen.sha256 };
    return { ...copied, stamp: stamp as string, ...(typeof version === 'string' && { versionId: version }) };
  } catch {
    return undefined;
  }
}
