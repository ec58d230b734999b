import type { MediaCatalogue } from '../../media/port.ts';
import type { Tree } from '../../media/rsync/tree.ts';
import { comparePaths } from '../../media/walk.ts';
import { boundedList } from './bounded-list.ts';

/** Files of these classes that no row names: both lists are in path order, and neither is held in memory. */
export async function orphansIn(
  source: Tree,
  catalogue: MediaCatalogue,
  classes: readonly string[],
): Promise<{ listed: readonly string[]; count: number }> {
  const orphans = boundedList();
  const rows = catalogue.rows()[Symbol.asyncIterator]();
  try {
    let row = await rows.next();
    for await (const path of source.walk(classes)) {
      while (row.done !== true && comparePaths(row.value.path, path) < 0) row = await rows.next();
      if (row.done === true || row.value.path !== path) orphans.add(path);
    }
  } finally {
    await rows.return?.();
  }
  return { listed: orphans.listed, count: orphans.count() };
}
