import { dirname, join } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import type { CatalogueRow } from '../../media/port.ts';
import { PARTIAL, transfer, type Transfer } from '../../media/rsync/transfer.ts';
import type { Look, Tree } from '../../media/rsync/tree.ts';
import type { SeenFile } from '../../media/seen-files.ts';

/** Linux file systems take no longer name: a row with one has no file. */
const LONGEST_NAME = 255;

/** What is being filled, and what is known of it. */
export interface Filling extends Transfer {
  readonly before: { find(path: string): SeenFile | undefined };
  readonly seen: { keep(file: SeenFile): void };
  /** Every file is read again at the target. */
  readonly comparing: boolean;
}

interface Arrived extends Look {
  readonly sha256: string;
}

interface Batch {
  readonly files: ReadonlyMap<string, Arrived>;
  readonly vanished: readonly string[];
  /** Of the files: those that the source has no more. */
  readonly gone: readonly string[];
}

/** Transfers the files of these rows, and hashes at the target what is not a link to a file whose hash is known. */
export async function fetchBatch(rows: readonly CatalogueRow[], filling: Filling): Promise<Batch> {
  const { target, folder } = filling;
  const paths = rows.map(({ path }) => path).filter(isPossible);
  await refuseLinks(filling.source, paths);
  const vanished = paths.length === 0 ? [] : await transfer(filling, paths);
  const files = new Map<string, Arrived>();
  // In the order of the rows, which is that of what was seen before.
  const earlier = new Map(rows.map(({ path }) => [path, filling.before.find(path)]));
  const arrived = await target.look(folder, paths);
  const kept = await keepGone(
    paths.filter((path) => !arrived.has(path)),
    filling,
  );
  const looks = new Map([...arrived, ...kept]);
  const unknown = [...looks].filter(([path, look]) => {
    const known = earlier.get(path);
    if (filling.comparing || known?.stamp !== look.stamp) return true;
    files.set(path, { ...look, sha256: known.sha256 });
    return false;
  });
  await hashInto(files, unknown, filling);
  const wrong = rows.filter((row) => {
    if (kept.has(row.path)) return false;
    const [file, known] = [files.get(row.path), earlier.get(row.path)];
    if (file === undefined) return false;
    // One that was as wrong before was copied anew then: its source is wrong.
    if (known?.stamp === file.stamp && known.sha256 === file.sha256) return false;
    // Media do not change: it was changed where it lies, or, in spite of that, at the source.
    return file.sha256 !== (row.sha256 ?? known?.sha256 ?? file.sha256);
  });
  if (wrong.length > 0) await replace(files, wrong, filling);
  return { files, vanished, gone: [...kept.keys()] };
}

/** A row whose file the source has lost keeps the one of the generation before, which would leave with its snapshot otherwise. */
async function keepGone(
  paths: readonly string[],
  { target, folder, previous }: Filling,
): Promise<ReadonlyMap<string, Look>> {
  if (paths.length === 0 || previous === undefined) return new Map();
  await target.link(join(dirname(folder), previous), folder, paths);
  return await target.look(folder, paths);
}

/** What is wrong at the target may be right at the source: it is copied anew, and takes nobody's place in older generations. */
async function replace(
  files: Map<string, Arrived>,
  rows: readonly CatalogueRow[],
  filling: Filling,
): Promise<void> {
  const paths = rows.map(({ path }) => path);
  await transfer(filling, paths, { anew: true });
  await hashInto(files, [...(await filling.target.look(filling.folder, paths))], filling);
}

async function hashInto(
  files: Map<string, Arrived>,
  looks: readonly (readonly [string, Look])[],
  { target, folder }: Filling,
): Promise<void> {
  if (looks.length === 0) return;
  const hashes = await target.sha256(
    folder,
    looks.map(([path]) => path),
  );
  for (const [path, look] of looks) {
    const sha256 = hashes.get(path);
    if (sha256 === undefined)
      throw new LifeboatError(
        'file-unreadable',
        `${target.location}/${folder}/${path} cannot be read again`,
        {
          hint: 'Look for errors of the disk there, and for what else changes files at the place.',
        },
      );
    files.set(path, { ...look, sha256 });
  }
}

function isPossible(path: string): boolean {
  return path.split('/').every((part) => part !== PARTIAL && Buffer.byteLength(part) <= LONGEST_NAME);
}

/** rsync follows a link that a named path leads through, and would copy whatever it leads to. */
async function refuseLinks(source: Tree, paths: readonly string[]): Promise<void> {
  const [first] = await source.linked([...new Set(paths.map((path) => dirname(path)))]);
  if (first === undefined) return;
  throw new LifeboatError(
    'media-unreadable',
    `${source.location}/${first} is reached through a symbolic link`,
    {
      hint: 'Use a bind mount instead, so that nothing can lead the backup out of the media directory.',
    },
  );
}
