import { inOrder } from '../core/in-order.ts';
import type { CatalogueRow, MediaBucket, MediaCatalogue } from '../media/port.ts';
import type { MediaStat } from '../media/regular-file.ts';
import {
  readSeenFiles,
  writeSeenFiles,
  type Comparison,
  type SeenBefore,
  type SeenFile,
  type SeenNow,
} from '../media/seen-files.ts';
import type { MediaSource } from '../media/source.ts';
import type { Content } from '../repository/manifest.ts';
import type { BackupWriter } from '../repository/port.ts';
import { boundedList, sentence, told } from './media/bounded-list.ts';
import type { MediaOutcome, MediaRun } from './media/strategy.ts';
import { openMediaSource } from './sources.ts';

interface MediaOptions extends Omit<MediaRun, 'repositoryId'> {
  readonly directory: string;
  /** What a storage provider of the homeserver has put there. */
  readonly bucket?: MediaBucket | undefined;
}

/** What a run goes by. */
interface Run {
  readonly source: MediaSource;
  readonly writer: BackupWriter;
  readonly before: SeenBefore;
  /** Looks at every file. */
  readonly comparing: boolean;
  readonly now: Date;
  /** Taken by who reads, and put back. */
  readonly memory: Uint8Array[];
}

interface StoredFile {
  readonly content: Content;
  /** Replaced or written to while it was read, and read once more. */
  readonly changed: boolean;
  /** There is no such file any more; this is what was stored of it before. */
  readonly gone?: true;
  /** The file has another content than this, which was stored before and is what the database says. */
  readonly differs?: true;
}

interface Result {
  /** Undefined: there is no file. */
  readonly stored: StoredFile | undefined;
  /** For the next backup. */
  readonly keep?: SeenFile | undefined;
}

/** Larger files come as a stream. */
const READ_AT_ONCE = 2 * 1024 * 1024;
/** A file that was written to twice within one tick of the file system's clock has one stamp. */
const SETTLED_MS = 2000;

/**
 * Media by the database's catalogue. A row whose SHA-256 the repository holds already is not even looked at, but for the days
 * when all rows and files are compared; one without SHA-256 is read when its file changed. Rows without file and files without
 * row are listed in the manifest, not hidden.
 */
export async function backUpMedia(options: MediaOptions): Promise<MediaOutcome> {
  const source = await openMediaSource(options.directory, options.bucket);
  try {
    return await backUpFrom(source, options);
  } finally {
    source.close();
  }
}

async function backUpFrom(source: MediaSource, options: MediaOptions): Promise<MediaOutcome> {
  const before = readSeenFiles(options.seenFile, source.root);
  const { compared } = before;
  const age = compared === undefined ? Infinity : options.now.getTime() - compared.at.getTime();
  // A clock that was set back must not put it off for ever.
  const comparing = !(age >= 0 && age < options.compareEveryMs);
  const comparison = comparing || compared === undefined ? await compare(options, source) : compared;
  const seen = await writeSeenFiles(options.seenFile, source.root, comparison);
  try {
    const outcome = await backUpRows(options, { source, before, comparing }, comparison, seen);
    seen.finish();
    return outcome;
  } finally {
    seen.discard();
    before.close();
  }
}

async function backUpRows(
  { catalogue, writer, now, progress, signal, classes }: MediaOptions,
  found: Pick<Run, 'source' | 'before' | 'comparing'>,
  { at, orphans }: Comparison,
  seen: SeenNow,
): Promise<MediaOutcome> {
  const run: Run = { ...found, writer, now, memory: [] };
  // All of them: a drill asks for none of these files. Thumbnails are many, and are made again.
  const missing = boundedList((path) => path.startsWith('local_content/'));
  const differing = boundedList();
  const changed = boundedList();
  const gone = boundedList();
  const totals = { files: 0, bytes: 0 };
  const total = await catalogue.count?.();
  const rows = rowsOf(catalogue, classes);
  const results = inOrder(rows, found.source.atOnce, (row) => storeFile(row, run));
  for await (const { item: row, made } of results) {
    signal?.throwIfAborted();
    const { stored, keep } = made;
    if (keep !== undefined) seen.keep(keep);
    if (stored === undefined) {
      missing.add(row.path);
      continue;
    }
    const isOther = row.sha256 !== null && row.sha256 !== stored.content.sha256;
    if (isOther || stored.differs === true) differing.add(row.path);
    if (stored.changed) changed.add(row.path);
    if (stored.gone === true) gone.add(row.path);
    await writer.addMedia({
      path: row.path,
      mediaClass: row.mediaClass,
      ...stored.content,
    });
    totals.files += 1;
    totals.bytes += stored.content.sizeBytes;
    const { files: done, bytes } = totals;
    progress({ phase: 'media', done, ...(total === undefined ? {} : { total }), unit: 'files', bytes });
  }
  return {
    component: {
      strategy: 'repository',
      ...totals,
      missing: missing.listed,
      missingCount: missing.count(),
      orphans: orphans.listed,
      orphanCount: orphans.count,
      comparedAt: at.toISOString(),
    },
    gone: gone.listed,
    omissions: [
      ...told(missing, 'media rows have no file'),
      ...told(gone, 'media files are gone, and the snapshot has what was stored of them before'),
      ...told(changed, 'media files changed while they were read'),
      ...told(differing, 'media files differ from the SHA-256 in the database'),
    ],
    warnings: sentence(orphans.listed, orphans.count, 'media files have no row in the database'),
  };
}

async function* rowsOf(catalogue: MediaCatalogue, classes: readonly string[]): AsyncGenerator<CatalogueRow> {
  for await (const row of catalogue.rows()) if (classes.includes(row.mediaClass)) yield row;
}

/** Asks `before` first, and before it waits: paths must come in order there. */
async function storeFile(row: CatalogueRow, run: Run): Promise<Result> {
  const earlier = run.before.find(row.path);
  return row.sha256 === null
    ? storeByStamp(row, earlier, run)
    : storeByHash(row, row.sha256, earlier !== undefined, run);
}

/** A file whose hash stands in the database. */
async function storeByHash(
  row: CatalogueRow,
  sha256: string,
  wasMissing: boolean,
  run: Run,
): Promise<Result> {
  const { source, writer, comparing } = run;
  const known = writer.known(sha256, row.sizeBytes ?? -1);
  if (known !== undefined && !comparing && !wasMissing) return { stored: { content: known, changed: false } };
  const there = known === undefined ? undefined : await source.look(row.path);
  if (known !== undefined && there?.sizeBytes === row.sizeBytes)
    return { stored: { content: known, changed: false } };
  const stored = await readFile(row.path, run);
  // Looked at again by the next run, whether that compares or not.
  const keep = { path: row.path, stamp: '', sha256: '' };
  if (stored !== undefined) {
    if (known === undefined || stored.content.sha256 === sha256) return { stored };
    // Media do not change: it was damaged since, and what is stored is right.
    return { stored: { content: known, changed: stored.changed, differs: true }, keep };
  }
  // Left out, the last copy would go with the snapshots that have it.
  return { stored: known === undefined ? undefined : { content: known, changed: false, gone: true }, keep };
}

/** A file whose hash nobody has: it is read when it is not as it was. */
async function storeByStamp(
  { path, sizeBytes }: CatalogueRow,
  earlier: SeenFile | undefined,
  run: Run,
): Promise<Result> {
  const { source, writer, now } = run;
  const there = earlier === undefined ? undefined : await source.look(path);
  if (earlier !== undefined && there !== undefined && there.stamp === earlier.stamp) {
    const known = writer.known(earlier.sha256, there.sizeBytes);
    if (known !== undefined) return { stored: { content: known, changed: false }, keep: earlier };
  }
  const stored = await readFile(path, run);
  if (stored === undefined && earlier !== undefined) {
    const known = writer.known(earlier.sha256, sizeBytes ?? -1);
    if (known !== undefined) return { stored: { content: known, changed: false, gone: true }, keep: earlier };
  }
  if (stored === undefined || now.getTime() - stored.changedMs < SETTLED_MS) return { stored };
  return { stored, keep: { path, stamp: stored.stamp, sha256: stored.content.sha256 } };
}

async function readFile(
  path: string,
  { source, writer, memory }: Run,
): Promise<(StoredFile & MediaStat) | undefined> {
  const own = memory.pop() ?? new Uint8Array(READ_AT_ONCE);
  try {
    const small = await source.readSmall(path, own);
    if (small === undefined) return undefined;
    if (small !== 'too large') return { ...small, content: await writer.addBytes(small.value) };
  } finally {
    memory.push(own);
  }
  const stored = await source.readStable(path, (readable, { sizeBytes }) =>
    writer.addFile(readable, sizeBytes),
  );
  return stored && { ...stored, content: stored.value };
}

async function compare(options: MediaOptions, source: MediaSource): Promise<Comparison> {
  return { at: options.now, orphans: await orphansOf(options, source) };
}

/** Files of the backed-up classes that no row names: uploads after the snapshot, or leftovers. */
async function orphansOf(
  { catalogue, classes }: Pick<MediaRun, 'catalogue' | 'classes'>,
  source: MediaSource,
): Promise<Comparison['orphans']> {
  const orphans = boundedList();
  for await (const orphan of source.orphans(catalogue, classes)) orphans.add(orphan);
  return { listed: orphans.listed, count: orphans.count() };
}

/** The same of directory and bucket. */
export async function orphansAt(
  run: Pick<MediaRun, 'catalogue' | 'classes'>,
  directory: string,
  bucket: MediaBucket | undefined,
): Promise<Comparison['orphans']> {
  const source = await openMediaSource(directory, bucket);
  try {
    return await orphansOf(run, source);
  } finally {
    source.close();
  }
}
