import { isUtf8 } from 'node:buffer';
import { glob, lstat, readdir, readlink } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { LifeboatError, messageOf } from '../core/errors.ts';
import { formatBytes } from '../core/units.ts';
import type { InventoryFile } from '../homeserver/port.ts';
import { fitsLink } from '../repository/archive.ts';

/** Every snapshot has its own copy of these, in memory once and stored whole: they are for configuration, not for data. */
const MOST_FILES = 5000;
const LARGEST_FILE = 16 * 1024 * 1024;
const LARGEST_TOGETHER = 64 * 1024 * 1024;

export interface ExtraFiles {
  readonly files: readonly InventoryFile[];
  readonly warnings: readonly string[];
}

/**
 * `config.extra` of lifeboat.yaml: what the patterns (absolute) match; a directory with all that is in it, links as links.
 * Errors: `config-invalid` beyond the bounds, `file-unreadable`.
 */
export async function findExtraFiles(patterns: readonly string[]): Promise<ExtraFiles> {
  const found = new Map<string, InventoryFile>();
  const warnings: string[] = [];
  let bytes = 0;
  const add = async (path: string): Promise<void> => {
    if (found.has(path)) return;
    const leaveOut = (why: string) => void warnings.push(`config.extra: ${path} ${why} and is left out`);
    const stats = await ifThere(lstat(path), path);
    // A name that is not UTF-8 comes with U+FFFD in it, and nothing is there under that name.
    if (stats === undefined)
      return leaveOut(path.includes('\ufffd') ? 'has a name that is not UTF-8' : 'is gone');
    const file = { path, role: 'extra', component: 'config', optional: true } as const;
    if (stats.isDirectory()) {
      found.set(path, { ...file, type: 'directory' });
      for (const name of ((await ifThere(readdir(path), path)) ?? []).toSorted()) await add(join(path, name));
    } else if (stats.isSymbolicLink()) {
      const target = await ifThere(readlink(path, { encoding: 'buffer' }), path);
      if (target === undefined) return leaveOut('is gone');
      if (!isUtf8(target) || !fitsLink(target.toString()))
        return leaveOut('is a link to more than 100 bytes, or to a name that is not UTF-8,');
      found.set(path, { ...file, type: 'symlink' });
    } else if (stats.isFile()) {
      if (stats.size > LARGEST_FILE)
        throw tooMuch(`${path} has ${formatBytes(stats.size)}`, `${formatBytes(LARGEST_FILE)} a file`);
      bytes += stats.size;
      found.set(path, file);
    } else leaveOut('is no file, directory or link');
    if (found.size > MOST_FILES)
      throw tooMuch(`there are more than ${MOST_FILES} files`, `${MOST_FILES} files`);
    if (bytes > LARGEST_TOGETHER)
      throw tooMuch(
        `the files have more than ${formatBytes(LARGEST_TOGETHER)}`,
        `${formatBytes(LARGEST_TOGETHER)} together`,
      );
  };
  for (const pattern of patterns) {
    if (!isAbsolute(pattern))
      throw new LifeboatError('config-invalid', `config.extra: ${pattern} is not absolute`);
    let matches = 0;
    for await (const path of glob(pattern)) {
      matches += 1;
      await add(path.replace(/(?<=.)\/+$/, ''));
    }
    if (matches === 0) warnings.push(`config.extra: nothing is there that ${pattern} matches`);
  }
  return { files: [...found.values()], warnings };
}

function tooMuch(problem: string, bound: string): LifeboatError {
  return new LifeboatError('config-invalid', `config.extra: ${problem}; at most ${bound}`, {
    hint: 'Name only configuration; back up data by other means.',
  });
}

/** Undefined when it has gone meanwhile. Errors: `file-unreadable`. */
async function ifThere<T>(looked: Promise<T>, path: string): Promise<T | undefined> {
  try {
    return await looked;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new LifeboatError('file-unreadable', `config.extra: cannot read ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
