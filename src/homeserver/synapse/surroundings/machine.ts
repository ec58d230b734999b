import { open, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The file system of a machine, read only, below a root (`/`, or the fixture of a test). Paths are those of the machine. What is
 * missing or cannot be read is as if it was not there: whoever looks around finds what he may see.
 */
export interface Machine {
  read(path: string): Promise<string | undefined>;
  /** Names, sorted; none when there is no such directory. */
  list(path: string): Promise<string[]>;
  kindOf(path: string): Promise<'file' | 'directory' | undefined>;
  /** Whether this user may read a file that is there. */
  mayRead(path: string): Promise<boolean>;
  /** Where this machine's path really lies: for whoever must open it. */
  at(path: string): string;
}

/** Configurations are kilobytes; a larger file is something else. */
const LARGEST_BYTES = 1024 * 1024;

export function machineAt(root: string): Machine {
  const at = (path: string) => (root === '/' ? path : join(root, path));
  const statOf = (path: string) => stat(at(path)).catch(() => undefined);
  return {
    at,
    async read(path) {
      const found = await statOf(path);
      if (found === undefined || !found.isFile() || found.size > LARGEST_BYTES) return undefined;
      return readFile(at(path), 'utf8').catch(() => undefined);
    },
    list: async (path) => (await readdir(at(path)).catch(() => [])).toSorted(),
    async kindOf(path) {
      const found = await statOf(path);
      if (found?.isDirectory() === true) return 'directory';
      return found?.isFile() === true ? 'file' : undefined;
    },
    async mayRead(path) {
      // Opened, for access(2) asks for another user where a service has changed its own.
      const file = await open(at(path)).catch(() => undefined);
      await file?.close();
      return file !== undefined;
    },
  };
}

/** Files directly in these directories whose name fits. */
export async function filesIn(
  machine: Machine,
  directories: readonly string[],
  fits: (name: string) => boolean,
): Promise<string[]> {
  const found: string[] = [];
  for (const directory of directories) {
    for (const name of (await machine.list(directory)).filter(fits)) {
      const path = join(directory, name);
      if ((await machine.kindOf(path)) === 'file') found.push(path);
    }
  }
  return found;
}
