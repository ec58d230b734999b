import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unreadable } from './regular-file.ts';

export interface WalkedEntry {
  /** Relative to the root. */
  readonly path: string;
  /** `other`: symbolic links, fifos, sockets, devices. */
  readonly kind: 'file' | 'other';
}

/**
 * Everything below `root/<folder>` for each folder, in the byte order of whole paths, so that it can be merged with a list
 * that the database sorts. Holds one directory a level in memory. Symbolic links are named, never followed.
 */
export async function* walk(root: string, folders: readonly string[]): AsyncGenerator<WalkedEntry> {
  for (const folder of folders.toSorted(comparePaths)) yield* walkDirectory(root, folder);
}

async function* walkDirectory(root: string, folder: string): AsyncGenerator<WalkedEntry> {
  const absolute = join(root, folder);
  const entries = await readdir(absolute, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    // Not there at all (a server without thumbnails), or deleted since its parent was read.
    if (error.code === 'ENOENT') return [];
    throw unreadable(absolute, error);
  });
  // `a-b` < `a/b`, so a directory sorts as if its slash belonged to its name.
  const named = entries.map((entry) => ({
    entry,
    sortKey: entry.isDirectory() ? `${entry.name}/` : entry.name,
  }));
  for (const { entry } of named.toSorted((a, b) => comparePaths(a.sortKey, b.sortKey))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* walkDirectory(root, path);
    else yield { path, kind: entry.isFile() ? 'file' : 'other' };
  }
}

/** Order of the UTF-8 bytes, as PostgreSQL's collation "C"; JavaScript's own compares UTF-16. */
export function comparePaths(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
