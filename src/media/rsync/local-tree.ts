import { lstatSync } from 'node:fs';
import { link, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { fileError, systemCode } from '../../storage/file-error.ts';
import { openMediaDirectory } from '../directory.ts';
import { requireSafePath } from '../regular-file.ts';
import { syncFileSystem } from '../sync.ts';
import { walk } from '../walk.ts';
import type { Look, Tree } from './tree.ts';

/** A directory of this machine. `root` is absolute. */
export function localTree(root: string): Tree {
  const at = (path: string): string => (path === '' ? root : join(root, path));
  return {
    location: root,
    remoteShell: undefined,
    rsyncName: (folder) => `${at(folder)}/`,
    names: (folder) => namesOf(at(folder)),
    makeFolder: (folder) => writing(at(folder), () => mkdir(at(folder), { recursive: true, mode: 0o700 })),
    rename: (from, to) => writing(at(to), () => renameNew(at(from), at(to))),
    remove: (folder) => writing(at(folder), () => rm(at(folder), { recursive: true, force: true })),
    look: async (folder, paths) => {
      const found = new Map<string, Look>();
      for (const path of paths) {
        const look = lookAt(at(folder), path);
        if (look !== undefined) found.set(path, look);
      }
      return found;
    },
    sha256: async (folder, paths) => {
      const directory = await openMediaDirectory(at(folder));
      const found = new Map<string, string>();
      for (const path of paths) {
        const sha256 = await directory.sha256(path);
        if (sha256 !== undefined) found.set(path, sha256);
      }
      return found;
    },
    link: async (from, to, paths) => {
      for (const path of paths)
        if (lookAt(at(from), path) !== undefined)
          await writing(join(at(to), path), async () => {
            await mkdir(dirname(join(at(to), path)), { recursive: true, mode: 0o700 });
            await link(join(at(from), path), join(at(to), path));
          });
    },
    linked: async (folders) => linkedFolders(root, folders),
    async *walk(folders) {
      for await (const { path, kind } of walk(root, folders)) if (kind === 'file') yield path;
    },
    publish: async (from, to) => {
      await syncFileSystem(at(from));
      await writing(at(to), () => renameNew(at(from), at(to)));
      await syncFileSystem(dirname(at(to)));
    },
  };
}

async function namesOf(path: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, path, 'file-unreadable');
  }
}

/** rename(2) replaces an empty folder. */
async function renameNew(from: string, to: string): Promise<void> {
  const there = await lstat(to).catch(() => undefined);
  if (there !== undefined) throw new LifeboatError('target-not-empty', `${to} exists already`);
  await rename(from, to);
}

async function writing(path: string, act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    throw error instanceof LifeboatError ? error : fileError(error, path, 'file-unwritable');
  }
}

function lookAt(root: string, path: string): Look | undefined {
  requireSafePath(path);
  try {
    const stat = lstatSync(join(root, path), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile()) return undefined;
    return { sizeBytes: Number(stat.size), stamp: `${stat.size}:${stat.ino}:${stat.mtimeNs}` };
  } catch (error) {
    // A row with an impossible id has no file.
    if (systemCode(error) === 'ENAMETOOLONG') return undefined;
    throw fileError(error, join(root, path), 'file-unreadable');
  }
}

/** Each folder is looked at once, whatever the number of those below it. */
function linkedFolders(root: string, folders: readonly string[]): string[] {
  const links = new Map<string, boolean>([['.', false]]);
  const leadsAway = (folder: string): boolean => {
    const known = links.get(folder);
    if (known !== undefined) return known;
    const found =
      leadsAway(dirname(folder)) ||
      lstatSync(join(root, folder), { throwIfNoEntry: false })?.isSymbolicLink() === true;
    links.set(folder, found);
    return found;
  };
  return folders.filter(leadsAway);
}
