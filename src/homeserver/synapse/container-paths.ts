import type { InventoryFile } from '../port.ts';

/** Paths of a homeserver in a container, and where they lie on this host, by the mounts that lifeboat.yaml names. */
export interface ContainerPaths {
  readonly used: boolean;
  /** The path on this host; one that nothing is mounted at stays as it is. */
  outside(inside: string): string;
  /** With the path that the homeserver knows it by. */
  named(file: InventoryFile): InventoryFile;
  /** Warnings of host paths that no mount leads to: they are of the host's own files, if of any. */
  unmapped(outside: readonly string[]): string[];
}

/** `paths`: path in the container -> path on the host; the longest that fits wins, as with mounts. */
export function containerPaths(paths: Readonly<Record<string, string>>): ContainerPaths {
  const mounts = Object.entries(paths)
    .map(([inside, outside]) => ({ inside: trimmed(inside), outside: trimmed(outside) }))
    .toSorted((a, b) => b.inside.length - a.inside.length);
  const backwards = mounts.toSorted((a, b) => b.outside.length - a.outside.length);
  return {
    used: mounts.length > 0,
    outside: (path) => {
      const mount = mounts.find(({ inside }) => isWithin(path, inside));
      return mount === undefined ? path : moved(path, mount.inside, mount.outside);
    },
    named: (file) => {
      const mount = backwards.find(({ outside }) => isWithin(file.path, outside));
      return mount === undefined || mount.inside === mount.outside
        ? file
        : { ...file, inside: moved(file.path, mount.outside, mount.inside) };
    },
    unmapped: (given) =>
      mounts.length === 0
        ? []
        : given
            .filter((path) => !backwards.some(({ outside }) => isWithin(path, outside)))
            .map(
              (path) =>
                `${path} is in no volume of homeserver.paths: this host's own file of that name was meant`,
            ),
  };
}

function trimmed(path: string): string {
  return path === '/' ? '' : path.replace(/\/+$/, '');
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

function moved(path: string, from: string, to: string): string {
  return `${to}${path.slice(from.length)}`;
}
