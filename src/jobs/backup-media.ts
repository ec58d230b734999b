import { openMediaDirectory, type MediaDirectory } from '../media/directory.ts';
import type { CatalogueRow, MediaCatalogue } from '../media/port.ts';
import type { Progress } from '../observe/progress.ts';
import type { Content, MediaComponent } from '../repository/manifest.ts';
import type { BackupWriter } from '../repository/port.ts';

interface MediaOptions {
  readonly catalogue: MediaCatalogue;
  readonly directory: string;
  readonly classes: readonly string[];
  readonly writer: BackupWriter;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

interface StoredFile {
  readonly content: Content;
  readonly mode: number;
  /** Replaced or written to while it was read, and read once more. */
  readonly changed: boolean;
}

interface MediaOutcome {
  readonly component: MediaComponent;
  readonly omissions: readonly string[];
  readonly warnings: readonly string[];
}

/** Larger files come as a stream. */
const READ_AT_ONCE = 2 * 1024 * 1024;
/** Longer lists stand in nobody's mail; the counts are exact. */
const LISTED = 1000;

/**
 * Media by the database's catalogue. A row whose SHA-256 the repository already holds is not read again. Rows without
 * file and files without row are listed in the manifest, not hidden.
 */
export async function backUpMedia(options: MediaOptions): Promise<MediaOutcome> {
  const { catalogue, writer, progress, signal } = options;
  const directory = await openMediaDirectory(options.directory);
  const memory = new Uint8Array(READ_AT_ONCE);
  // All of them: a drill asks for none of these files. Thumbnails are many, and are made again.
  const missing = boundedList((path) => path.startsWith('local_content/'));
  const differing = boundedList();
  const changed = boundedList();
  const totals = { files: 0, bytes: 0 };
  for await (const row of catalogue.rows()) {
    if (!options.classes.includes(row.mediaClass)) continue;
    signal?.throwIfAborted();
    const stored = await storeFile(row, directory, writer, memory);
    if (stored === undefined) {
      missing.add(row.path);
      continue;
    }
    if (row.sha256 !== null && row.sha256 !== stored.content.sha256) differing.add(row.path);
    if (stored.changed) changed.add(row.path);
    await writer.addMedia({
      path: row.path,
      mediaClass: row.mediaClass,
      mode: stored.mode,
      ...stored.content,
    });
    totals.files += 1;
    totals.bytes += stored.content.sizeBytes;
    progress({ phase: 'media', done: totals.files, unit: 'files' });
  }
  const orphans = await findOrphans(options, directory);
  return {
    component: {
      strategy: 'repository',
      ...totals,
      missing: missing.listed,
      missingCount: missing.count(),
      orphans: orphans.listed,
      orphanCount: orphans.count(),
    },
    omissions: [
      ...sentence(missing, 'media rows have no file'),
      ...sentence(changed, 'media files changed while they were read'),
      ...sentence(differing, 'media files differ from the SHA-256 in the database'),
    ],
    warnings: sentence(orphans, 'media files have no row in the database'),
  };
}

async function storeFile(
  row: CatalogueRow,
  directory: MediaDirectory,
  writer: BackupWriter,
  memory: Uint8Array,
): Promise<StoredFile | undefined> {
  const known = row.sha256 === null ? undefined : writer.known(row.sha256, row.sizeBytes ?? -1);
  if (known !== undefined) {
    const found = directory.look(row.path);
    if (found === undefined) return undefined;
    if (found.sizeBytes === row.sizeBytes) return { content: known, mode: found.mode, changed: false };
  }
  const small = directory.readSmall(row.path, memory);
  if (small === undefined) return undefined;
  if (small !== 'too large')
    return { content: await writer.addBytes(small.value), mode: small.mode, changed: small.changed };
  const stored = await directory.readStable(row.path, (source, { sizeBytes }) =>
    writer.addFile(source, sizeBytes),
  );
  return stored && { content: stored.value, mode: stored.mode, changed: stored.changed };
}

/** Files of the backed-up classes that no row names: uploads after the snapshot, or leftovers. */
async function findOrphans(
  { catalogue, classes }: MediaOptions,
  directory: MediaDirectory,
): Promise<BoundedList> {
  const orphans = boundedList();
  for await (const orphan of directory.orphans(catalogue, classes)) orphans.add(orphan);
  return orphans;
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

function sentence(list: BoundedList, what: string): string[] {
  if (list.count() === 0) return [];
  const names = list.listed.slice(0, 5).join(', ');
  return [`${list.count()} ${what}: ${names}${list.count() > 5 ? ', ...' : ''}`];
}
