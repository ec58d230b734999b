import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Config } from '../config/index.ts';
import { findSurroundings, homeserverOf } from '../homeserver/index.ts';
import type { Inventory, InventoryFile } from '../homeserver/port.ts';
import { fileUnreadable } from './backup-archives.ts';
import { findExtraFiles } from './extra-files.ts';

/** Everything that lifeboat.yaml and homeserver.yaml lead to. Errors: those of discovery, `config-invalid`, `file-unreadable`. */
export async function inventoryOf(config: Config): Promise<Inventory> {
  const { program, paths, container } = config.homeserver;
  const found = await homeserverOf(config.homeserver.kind).discover({
    configFiles: config.homeserver.config,
    ...(program === undefined ? {} : { program }),
    ...(Object.keys(paths).length === 0 ? {} : { paths }),
    ...(container === undefined ? {} : { container }),
  });
  const around = config.configuration.search
    ? await findSurroundings(found)
    : { files: [], secrets: [], warnings: [] };
  const extra = await findExtraFiles(config.configuration.extra);
  const { files, warnings } = withoutLinksAbove(unique([...found.files, ...around.files, ...extra.files]));
  return {
    ...found,
    files,
    secrets: [...found.secrets, ...around.secrets],
    warnings: [...found.warnings, ...around.warnings, ...extra.warnings, ...warnings],
  };
}

/** The first mention wins: what the homeserver reads keeps its role. */
function unique(files: readonly InventoryFile[]): InventoryFile[] {
  const seen = new Set<string>();
  return files.filter(({ path }) => !seen.has(path) && seen.add(path));
}

/**
 * A link that `config.extra` matches, and files that the homeserver reads through it: an archive holds the path either as a link or
 * as a folder, and the files are what a restore needs.
 */
function withoutLinksAbove(files: readonly InventoryFile[]): { files: InventoryFile[]; warnings: string[] } {
  const folders = new Map<string, string>();
  for (const { path } of files)
    for (let parent = dirname(path); !folders.has(parent); parent = dirname(parent))
      folders.set(parent, path);
  const inTheWay = files.filter(
    ({ path, role, type }) => role === 'extra' && type !== 'directory' && folders.has(path),
  );
  return {
    files: files.filter((file) => !inTheWay.includes(file)),
    warnings: inTheWay.map(
      ({ path }) =>
        `config.extra: ${path} is a link, and ${folders.get(path)} is kept below it: the link is left out; name the directory that it leads to`,
    ),
  };
}

/** Before the hours of a dump, not after them. Errors: `file-unreadable`. */
export async function requireReadable({ files }: Pick<Inventory, 'files'>): Promise<void> {
  for (const file of files) {
    if ((file.type ?? 'file') !== 'file') continue;
    try {
      await (await open(file.path)).close();
    } catch (error) {
      // What has gone is left out later; what an administrator named, and we may not read, is for him to settle.
      if (file.optional === true && error instanceof Error && 'code' in error && error.code === 'ENOENT')
        continue;
      throw fileUnreadable(file, error);
    }
  }
}
