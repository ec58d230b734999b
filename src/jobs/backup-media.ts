import { openMediaDirectory, type MediaDirectory } from '../media/directory.ts';
import type { CatalogueRow } from '../media/port.ts';
import type { MediaStat } from '../media/regular-file.ts';
import {
  readSeenFiles,
  writeSeenFiles,
  type Comparison,
  type SeenBefore,
  type SeenNow,
} from '../media/seen-files.ts';
import type { Content } from '../repository/manifest.ts';
import type { BackupWriter } from '../repository/port.ts';
import type { MediaOutcome, MediaRun } from './media/strategy.ts';

interface MediaOptions extends Omit<MediaRun, 'repositoryId'> {
  readonly directory: string;
}

/** What a run goes by. */
interface Run {
  readonly directory: MediaDirectory;
  readonly writer: BackupWriter;
  readonly before: SeenBefore;
  readonly seen: SeenNow;
  /** Looks at every file. */
  readonly comparing: boolean;
  readonly now: Date;
  readonly memory: Uint8Array;
}

interface StoredFile {
  readonly content: Content;
  /** Replaced or written to while it was read, and read once more. */
  readonly changed: boolean;
}

/** Larger files come as a stream. */
const READ_AT_ONCE = 2 * 1024 * 1024;
/** A file that was written to twice within one tick of the file system's clock has one stamp. */
const SETTLED_MS = 2000;
/** Longer lists stand in nobody's mail; the counts are exact. */
const LISTED = 1000;

/**
 * Media by the database's catalogue. A row whose SHA-256 the repository holds already is not even looked at, but for the days
 * when all rows and files are compared; one without SHA-256 is read when its file changed. Rows without file and files without
 * row are listed in the manifest, not hidden.
 */
export async function backUpMedia(options: MediaOptions): Promise<MediaOutcome> {
  const directory = await openMediaDirectory(options.directory);
  const before = readSeenFiles(options.seenFile, directory.root);
  const { compared } = before;
  const age = compared === undefined ? Infinity : options.now.getTime() - compared.at.getTime();
  // A clock that was set back must not put it off for ever.
  const comparing = !(age >= 0 && age < options.compareEveryMs);
  const comparison = comparing || compared === undefined ? await compare(options, directory) : compared;
  const seen = await writeSeenFiles(options.seenFile, directory.root, comparison);
  try {
    const outcome = await backUpRows(options, { directory, before, seen, comparing }, comparison);
    seen.finish();
    return outcome;
  } finally {
    seen.discard();
    before.close();
  }
}

async function backUpRows(
  { catalogue, writer, now, progress, signal, classes }: MediaOptions,
  found: Pick<Run, 'directory' | 'before' | 'seen' | 'comparing'>,
  { at, orphans }: Comparison,
): Promise<MediaOutcome> {
  const run: Run = { ...found, writer, now, memory: new Uint8Array(READ_AT_ONCE) };
  // All of them: a drill asks for none of these files. Thumbnails are many, and are made again.
  const missing = boundedList((path) => path.startsWith('local_content/'));
  const differing = boundedList();
  const changed = boundedList();
  const totals = { files: 0, bytes: 0 };
  for await (const row of catalogue.rows()) {
    if (!classes.includes(row.mediaClass)) continue;
    signal?.throwIfAborted();
    const stored = await storeFile(row, run);
    if (stored === undefined) {
      missing.add(row.path);
      continue;
    }
    if (row.sha256 !== null && row.sha256 !== stored.content.sha256) differing.add(row.path);
    if (stored.changed) changed.add(row.path);
    await writer.addMedia({
      path: row.path,
      mediaClass: row.mediaClass,
      ...stored.content,
    });
    totals.files += 1;
    totals.bytes += stored.content.sizeBytes;
    progress({ phase: 'media', done: totals.files, unit: 'files' });
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
    omissions: [
      ...told(missing, 'media rows have no file'),
      ...told(changed, 'media files changed while they were read'),
      ...told(differing, 'media files differ from the SHA-256 in the database'),
    ],
    warnings: sentence(orphans.listed, orphans.count, 'media files have no row in the database'),
  };
}

async function storeFile(row: CatalogueRow, run: Run): Promise<StoredFile | undefined> {
  return row.sha256 === null ? storeByStamp(row, run) : storeByHash(row, row.sha256, run);
}

/** A file whose hash stands in the database. */
async function storeByHash(row: CatalogueRow, sha256: string, run: Run): Promise<StoredFile | undefined> {
  const { directory, writer, before, seen, comparing } = run;
  const wasMissing = before.find(row.path) !== undefined;
  const known = writer.known(sha256, row.sizeBytes ?? -1);
  if (known !== undefined && !comparing && !wasMissing) return { content: known, changed: false };
  const there = known === undefined ? undefined : directory.look(row.path);
  if (known !== undefined && there?.sizeBytes === row.sizeBytes) return { content: known, changed: false };
  const read = await readFile(row.path, run);
  if (read === undefined) seen.keep({ path: row.path, stamp: '', sha256: '' });
  return read;
}

/** A file whose hash nobody has: it is read when it is not as it was. */
async function storeByStamp({ path }: CatalogueRow, run: Run): Promise<StoredFile | undefined> {
  const { directory, writer, before, seen, now } = run;
  const earlier = before.find(path);
  const there = earlier === undefined ? undefined : directory.look(path);
  if (earlier !== undefined && there !== undefined && there.stamp === earlier.stamp) {
    const known = writer.known(earlier.sha256, there.sizeBytes);
    if (known !== undefined) {
      seen.keep(earlier);
      return { content: known, changed: false };
    }
  }
  const read = await readFile(path, run);
  if (read !== undefined && now.getTime() - read.changedMs >= SETTLED_MS)
    seen.keep({ path, stamp: read.stamp, sha256: read.content.sha256 });
  return read;
}

async function readFile(
  path: string,
  { directory, writer, memory }: Run,
): Promise<(StoredFile & MediaStat) | undefined> {
  const small = directory.readSmall(path, memory);
  if (small === undefined) return undefined;
  if (small !== 'too large') return { ...small, content: await writer.addBytes(small.value) };
  const stored = await directory.readStable(path, (source, { sizeBytes }) =>
    writer.addFile(source, sizeBytes),
  );
  return stored && { ...stored, content: stored.value };
}

/** Files of the backed-up classes that no row names: uploads after the snapshot, or leftovers. */
async function compare(
  { catalogue, classes, now }: MediaOptions,
  directory: MediaDirectory,
): Promise<Comparison> {
  const orphans = boundedList();
  for await (const orphan of directory.orphans(catalogue, classes)) orphans.add(orphan);
  return { at: now, orphans: { listed: orphans.listed, count: orphans.count() } };
}

interface BoundedList {
  readonly listed: readonly string[];
  add(item: string): void;
  count(): number;
}

function boundedList(always: (item: string) => boolean = () => false): BoundedList {
  const listed: string[] = [];
  let count = 0;
  return {
    listed,
    add: (item) => {
      count += 1;
      if (listed.length < LISTED || always(item)) listed.push(item);
    },
    count: () => count,
  };
}

function told(list: BoundedList, what: string): string[] {
  return sentence(list.listed, list.count(), what);
}

function sentence(listed: readonly string[], count: number, what: string): string[] {
  if (count === 0) return [];
  return [`${count} ${what}: ${listed.slice(0, 5).join(', ')}${count > 5 ? ', ...' : ''}`];
}
