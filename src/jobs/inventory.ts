import type { Config } from '../config/index.ts';
import { findSurroundings, homeserverOf } from '../homeserver/index.ts';
import type { Inventory, InventoryFile } from '../homeserver/port.ts';
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
  const around = config.configuration.search ? await findSurroundings(found) : { files: [], secrets: [] };
  const extra = await findExtraFiles(config.configuration.extra);
  return {
    ...found,
    files: unique([...found.files, ...around.files, ...extra.files]),
    secrets: [...found.secrets, ...around.secrets],
    warnings: [...found.warnings, ...extra.warnings],
  };
}

/** The first mention wins: what the homeserver reads keeps its role. */
function unique(files: readonly InventoryFile[]): InventoryFile[] {
  const seen = new Set<string>();
  return files.filter(({ path }) => !seen.has(path) && seen.add(path));
}
