import { readdir, statfs } from 'node:fs/promises';
import { LifeboatError } from '../../core/errors.ts';
import { formatBytes } from '../../core/units.ts';
import { connect } from '../../database/index.ts';
import { homeserverOf } from '../../homeserver/index.ts';
import { openMediaDirectory, type MediaDirectory } from '../../media/directory.ts';
import type { CatalogueRow } from '../../media/port.ts';
import { createMediaRoot, writeMediaFiles } from '../../media/restore.ts';
import type { RestoreContext } from '../context.ts';
import { collectFindings, noneFound } from '../findings.ts';
import type { Check, Step } from '../step.ts';

/** Step 2: every file of the source into the new media store, then every row of the restored database against the disk. */
export const restoreMediaStep: Step<RestoreContext> = {
  id: 'restore-media',
  number: 2,
  title: 'Restore media',
  requires: [],
  apply: placeFiles,
  check: compareWithCatalogue,
};

async function placeFiles({
  source,
  target,
  found,
  progress,
  signal,
  handOver,
}: RestoreContext): Promise<void> {
  const there = await readdir(target.mediaDirectory).catch((): string[] => []);
  // A restore that goes on has some of them already.
  if (there.length === 0) await requireRoom(target.directory, await source.mediaBytes());
  // A sealed copy is thrown away; a real one must survive a power cut.
  const root = await createMediaRoot(target.mediaDirectory, { durable: !target.sealed });
  let [files, bytes] = [0, 0];
  const onDone = (sizeBytes: number) => {
    files += 1;
    bytes += sizeBytes;
    progress({ phase: 'restore-media', done: files, unit: 'files' });
  };
  await writeMediaFiles(root, source.media(), { onDone, signal });
  await handOver(target.mediaDirectory);
  Object.assign(found, { mediaFiles: files, mediaBytes: bytes });
}

/** Found now instead of when the disk of the machine is full. */
async function requireRoom(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize >= bytes) return;
  throw new LifeboatError(
    'disk-full',
    `the media need ${formatBytes(bytes)}, and ${directory} has ${formatBytes(bavail * bsize)} left`,
    {
      hint: 'Free space, or name a larger place: --target, or drill.work_directory in lifeboat.yaml for a drill.',
    },
  );
}

async function* compareWithCatalogue(context: RestoreContext): AsyncGenerator<Check> {
  const directory = await openMediaDirectory(context.target.mediaDirectory);
  yield* compareWithSource(context, directory);
  if (context.found.databaseBytes !== undefined) return yield* compareWithDatabase(context, directory);
  yield {
    id: 'media.rows-have-files',
    title: 'each media row of the database has its file',
    result: 'skip',
    observed: 'step 1 has left no database to compare with',
  };
}

/** The manifest's hashes against what lies on the disk now: read again, not remembered from the writing. */
export async function* compareWithSource(
  { source }: Pick<RestoreContext, 'source'>,
  directory: MediaDirectory,
): AsyncGenerator<Check> {
  const damaged = collectFindings();
  let compared = 0;
  for await (const file of source.media()) {
    if (file.sha256 === undefined) continue;
    compared += 1;
    const problem = await directory.compare(file.path, { sizeBytes: file.sizeBytes, sha256: file.sha256 });
    if (problem !== undefined) damaged.add(`${file.path}: ${problem}`);
  }
  const check = {
    id: 'media.as-in-manifest',
    title: 'every file of the manifest is on the disk with its SHA-256',
  };
  if (compared === 0) yield { ...check, result: 'skip', observed: 'the source has no manifest' };
  else yield { ...noneFound(check, damaged, { unit: 'files differ' }), expected: `${compared} files equal` };
}

/** Every row of the restored database against the disk. */
async function* compareWithDatabase(
  { source, target }: RestoreContext,
  directory: MediaDirectory,
): AsyncGenerator<Check> {
  await using session = await connect(target.database, { applicationName: 'lifeboat:check' });
  const catalogue = homeserverOf('synapse').catalogue(session);
  const [missing, knownMissing, damaged] = [collectFindings(), collectFindings(), collectFindings()];
  let rows = 0;
  for await (const row of catalogue.rows()) {
    if (!isBackedUp(row)) continue;
    rows += 1;
    const problem = await directory.compare(row.path, row);
    if (problem === undefined) continue;
    if (problem !== 'missing') damaged.add(`${row.path}: ${problem}`);
    else if (source.knownMissingMedia.has(row.path)) knownMissing.add(row.path);
    else if (row.mediaClass === 'local_thumbnails') knownMissing.add(row.path);
    else missing.add(row.path);
  }
  const title = `each of ${rows} media rows of the database has its file, but for those that had none before`;
  yield noneFound({ id: 'media.rows-have-files', title }, missing, {
    unit: 'rows without file',
    advice: 'The homeserver answers 404 for these.',
  });
  yield noneFound({ id: 'media.content', title: 'sizes and SHA-256 are as the database says' }, damaged, {
    unit: 'files differ',
    advice: 'The homeserver serves a changed file without complaint, and hangs on a cut one.',
  });
  yield noneFound(
    { id: 'media.known-missing', title: 'no file was missing when the snapshot was taken already' },
    knownMissing,
    {
      unit: 'rows without file',
      otherwise: 'warn',
      advice: 'Missing thumbnails are made again on request; other files are lost at the source.',
    },
  );
  const orphans = collectFindings();
  for await (const path of directory.orphans(catalogue, ['local_content'])) orphans.add(path);
  yield noneFound({ id: 'media.files-have-rows', title: 'every file has its row' }, orphans, {
    unit: 'files without row',
    otherwise: 'warn',
  });
}

/** Remote media and URL previews are fetched again and are not part of a snapshot by default. */
function isBackedUp(row: CatalogueRow): boolean {
  return row.mediaClass === 'local_content' || row.mediaClass === 'local_thumbnails';
}
