import type { CatalogueRow, MediaCatalogue } from './port.ts';
import { comparePaths, type WalkedEntry } from './walk.ts';

export type Disagreement =
  | { readonly kind: 'missing'; readonly path: string; readonly row: CatalogueRow }
  | { readonly kind: 'orphan'; readonly path: string }
  | { readonly kind: 'foreign'; readonly path: string };

/**
 * The catalogue against what is there, both in path order, merged: a row without file (`missing`), a file without row
 * (`orphan`), and what is neither file nor directory (`foreign`). Nothing is kept in memory, nothing is read.
 */
export async function* reconcile(
  catalogue: MediaCatalogue,
  there: AsyncIterable<WalkedEntry>,
  classes: readonly string[],
): AsyncGenerator<Disagreement> {
  const rows = rowsOf(catalogue, classes);
  try {
    let row = await rows.next();
    for await (const { path, kind } of there) {
      while (!row.done && comparePaths(row.value.path, path) < 0) {
        yield { kind: 'missing', path: row.value.path, row: row.value };
        row = await rows.next();
      }
      const known = !row.done && row.value.path === path;
      if (kind === 'other') yield { kind: 'foreign', path };
      else if (!known) yield { kind: 'orphan', path };
      if (known) row = await rows.next();
    }
    for (; !row.done; row = await rows.next())
      yield { kind: 'missing', path: row.value.path, row: row.value };
  } finally {
    await rows.return(undefined);
  }
}

/** Files that no row names. */
export async function* orphansAmong(
  catalogue: MediaCatalogue,
  there: AsyncIterable<WalkedEntry>,
  classes: readonly string[],
): AsyncGenerator<string> {
  for await (const { kind, path } of reconcile(catalogue, there, classes)) {
    if (kind === 'orphan') yield path;
  }
}

async function* rowsOf(
  catalogue: MediaCatalogue,
  classes: readonly string[],
): AsyncGenerator<CatalogueRow, undefined> {
  for await (const row of catalogue.rows()) {
    if (classes.includes(row.mediaClass)) yield row;
  }
  return undefined;
}
