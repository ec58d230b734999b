import { basename, dirname, join } from 'node:path';
import type { RsyncSettings } from '../../config/index.ts';
import { LifeboatError } from '../../core/errors.ts';
import { requireProgram } from '../../exec/index.ts';
import type { CatalogueRow } from '../../media/port.ts';
import { generationName, newestGeneration, partialName } from '../../media/rsync/generations.ts';
import { leftBehind, rememberRunning } from '../../media/rsync/running.ts';
import { UNFINISHED } from '../../media/rsync/transfer.ts';
import { openTree, type Tree } from '../../media/rsync/tree.ts';
import { readSeenFiles, writeSeenFiles } from '../../media/seen-files.ts';
import { boundedList, sentence, told } from './bounded-list.ts';
import { orphansIn } from './orphans.ts';
import { noSource, requireUploads } from './presence.ts';
import { requirePlaceFit, requirePlaceThere } from './rsync-place.ts';
import { fetchBatch, type Filling } from './rsync-batch.ts';
import type { MediaOutcome, MediaRun, MediaStrategy } from './strategy.ts';

/** So many rows, or files of so many bytes, are transferred and verified together: what is in memory, and what an interruption costs. */
const ROWS_AT_ONCE = 4096;
const BYTES_AT_ONCE = 1024 ** 3;

/**
 * Media by rsync into a generation of their own at another place, unchanged ones linked to the generation before. `directory`:
 * the media store of this machine, for who does not pull from another. `hasBucket`: the homeserver keeps media in S3, too.
 */
export function rsyncStrategy(settings: RsyncSettings, directory: string, hasBucket: boolean): MediaStrategy {
  const source = openTree(settings.source ?? directory, settings.ssh);
  const target = openTree(settings.place, settings.ssh);
  return {
    source: `${source.location}, by rsync to ${target.location}`,
    warnings: hasBucket
      ? ['media.strategy rsync: media that lie only in the bucket are not in the backup']
      : [],
    requireThere: (catalogue) => {
      requirePlaceFit(settings, directory);
      return requireUploads(catalogue, source);
    },
    backUp: (run) =>
      backUpByRsync(run, settings, {
        source: openTree(settings.source ?? directory, settings.ssh, run.signal),
        target: openTree(settings.place, settings.ssh, run.signal),
      }),
    hashes: (paths) => source.sha256('', paths),
  };
}

/** Both ends, without changing anything. Errors: `command-missing`, `media-unreadable`, those of a server. */
export async function examineRsync(settings: RsyncSettings, directory: string): Promise<string> {
  requireProgram('rsync');
  requirePlaceFit(settings, directory);
  const source = openTree(settings.source ?? directory, settings.ssh);
  const target = openTree(settings.place, settings.ssh);
  if ((await source.names('')) === undefined) throw noSource(source);
  const generations = await target.names('');
  return `${source.location}, by rsync to ${target.location}${generations === undefined ? ', which is yet to be made' : ''}`;
}

/** Until the snapshot is recorded nothing but its age keeps a prune from a generation, and clocks differ. */
async function requireKept(target: Tree, base: string, name: string): Promise<void> {
  if ((await target.names(base))?.includes(name) === true) return;
  throw new LifeboatError(
    'locked',
    `the media at ${target.location}/${base}/${name} went away before the snapshot was recorded`,
    { hint: 'Run the backup again; if no prune ran meanwhile, look for what else deletes at the place.' },
  );
}

interface Ends {
  readonly source: Tree;
  readonly target: Tree;
}

async function backUpByRsync(run: MediaRun, settings: RsyncSettings, ends: Ends): Promise<MediaOutcome> {
  requireProgram('rsync');
  const { source, target } = ends;
  const { now, seenFile } = run;
  const base = run.repositoryId;
  const root = `${source.location} -> ${target.location}/${base}`;
  const before = readSeenFiles(seenFile, root);
  const age = before.compared === undefined ? Infinity : now.getTime() - before.compared.at.getTime();
  // A clock that was set back must not put it off for ever.
  const comparing = !(age >= 0 && age < run.compareEveryMs);
  const comparison =
    before.compared === undefined || comparing
      ? { at: now, orphans: await orphansIn(source, run.catalogue, run.classes) }
      : before.compared;
  const seen = await writeSeenFiles(seenFile, root, comparison);
  try {
    const previous = await newestGeneration(target, base);
    requirePlaceThere(previous, before.compared !== undefined, target.location, seenFile);
    const folder = await openPartial(run, target, base);
    const { bandwidthLimit, timeoutMs } = settings;
    const filling: Filling = {
      ...{ ...ends, folder, previous, bandwidthLimit, timeoutMs, signal: run.signal },
      ...{ before, seen, comparing },
    };
    const { component, omissions } = await fill(run, filling);
    const name = generationName(new Date(), run.writer.snapshotId);
    const generation = `${base}/${name}`;
    await publish(target, folder, generation);
    seen.finish();
    const { orphans } = comparison;
    return {
      component: {
        ...component,
        strategy: 'rsync',
        external: { place: target.location, generation },
        orphans: orphans.listed,
        orphanCount: orphans.count,
        comparedAt: comparison.at.toISOString(),
      },
      omissions,
      warnings: sentence(orphans.listed, orphans.count, 'media files have no row in the database'),
      requireKept: () => requireKept(target, base, name),
    };
  } finally {
    seen.discard();
    before.close();
  }
}

/** The one that an interrupted run of this machine has left, or a new one. */
async function openPartial(run: MediaRun, target: Tree, base: string): Promise<string> {
  const runningFile = join(dirname(run.seenFile), `${basename(run.seenFile, '.seen')}.rsync.json`);
  const place = `${target.location}/${base}`;
  const left = leftBehind(runningFile, place);
  const isThere = left !== undefined && (await target.names(`${base}/${left}`)) !== undefined;
  const partial = isThere ? left : partialName(run.now, run.writer.snapshotId);
  if (isThere) {
    run.progress({ phase: 'media', message: 'going on with what an interrupted run has transferred' });
    await target.remove(`${base}/${partial}/${UNFINISHED}`);
  }
  await target.makeFolder(`${base}/${partial}/${UNFINISHED}`);
  rememberRunning(runningFile, place, partial);
  return `${base}/${partial}`;
}

/** A generation has its name only when all of it is on the disk. */
async function publish(target: Tree, partial: string, generation: string): Promise<void> {
  await target.remove(`${partial}/${UNFINISHED}`);
  await target.publish(partial, generation);
}

type Filled = Pick<MediaOutcome['component'], 'files' | 'bytes' | 'missing' | 'missingCount'>;

async function fill(
  run: MediaRun,
  filling: Filling,
): Promise<{ component: Filled; omissions: readonly string[] }> {
  const missing = boundedList((path) => path.startsWith('local_content/'));
  const [vanished, gone, differing] = [boundedList(), boundedList(), boundedList()];
  const totals = { files: 0, bytes: 0 };
  for await (const rows of batches(run)) {
    run.signal?.throwIfAborted();
    const arrived = await fetchBatch(rows, filling);
    for (const path of arrived.vanished) vanished.add(path);
    for (const path of arrived.gone) gone.add(path);
    for (const row of rows) {
      const file = arrived.files.get(row.path);
      if (file === undefined) {
        missing.add(row.path);
        continue;
      }
      const { sizeBytes, stamp, sha256 } = file;
      if (row.sha256 !== null && row.sha256 !== sha256) differing.add(row.path);
      filling.seen.keep({ path: row.path, stamp, sha256 });
      await run.writer.addMedia({ path: row.path, mediaClass: row.mediaClass, sizeBytes, sha256, blobs: [] });
      totals.files += 1;
      totals.bytes += sizeBytes;
    }
    run.progress({ phase: 'media', done: totals.files, unit: 'files', bytes: totals.bytes });
  }
  return {
    component: { ...totals, missing: missing.listed, missingCount: missing.count() },
    omissions: [
      ...told(missing, 'media rows have no file'),
      ...told(gone, 'media files are gone, and the snapshot has what was stored of them before'),
      ...told(vanished, 'media files vanished while rsync was about to copy them (its exit status 24)'),
      ...told(differing, 'media files differ from the SHA-256 in the database'),
    ],
  };
}

async function* batches({ catalogue, classes }: MediaRun): AsyncGenerator<readonly CatalogueRow[]> {
  let [rows, bytes]: [CatalogueRow[], number] = [[], 0];
  for await (const row of catalogue.rows()) {
    if (!classes.includes(row.mediaClass)) continue;
    rows.push(row);
    bytes += row.sizeBytes ?? 0;
    if (rows.length < ROWS_AT_ONCE && bytes < BYTES_AT_ONCE) continue;
    yield rows;
    [rows, bytes] = [[], 0];
  }
  if (rows.length > 0) yield rows;
}
