import { readFile, stat } from 'node:fs/promises';
import { LifeboatError, messageOf } from '../core/errors.ts';
import { oldSigningKeysBlock } from '../homeserver/index.ts';
import type { Inventory, InventoryFile } from '../homeserver/port.ts';
import type { Progress } from '../observe/progress.ts';
import type { ConfigComponent, KeysComponent } from '../repository/manifest.ts';
import type { ArchiveInput, BackupWriter } from '../repository/port.ts';

/** Keys and configuration: two small archives of their own, so that they can be had with `age -d | tar x` alone. */
export async function backUpArchives(
  inventory: Inventory,
  writer: BackupWriter,
  progress: Progress,
): Promise<{ keys: KeysComponent; config: ConfigComponent }> {
  progress({ phase: 'keys', message: `sealing ${inventory.signingKeys.length} signing key(s)` });
  const keys = await writer.addArchive(await readAll(inventory, 'keys'));
  progress({ phase: 'config', message: 'sealing configuration' });
  const config = await writer.addArchive(await readAll(inventory, 'config'));
  return {
    keys: {
      archive: keys,
      public: inventory.signingKeys.map(({ keyId, publicKey }) => ({ keyId, publicKey })),
      oldSigningKeys: oldSigningKeysBlock(inventory.signingKeys),
    },
    config: { archive: config, secrets: inventory.secrets.map(({ name, file }) => ({ name, file })) },
  };
}

function readAll(inventory: Inventory, component: InventoryFile['component']): Promise<ArchiveInput[]> {
  return Promise.all(inventory.files.filter((file) => file.component === component).map(readOne));
}

async function readOne({ path, role }: InventoryFile): Promise<ArchiveInput> {
  try {
    const [body, { mode }] = await Promise.all([readFile(path), stat(path)]);
    // Absolute paths become relative ones; the manifest keeps the original.
    return { path: path.replace(/^\/+/, ''), source: path, role, mode: mode & 0o7777, body };
  } catch (error) {
    throw new LifeboatError('file-unreadable', `cannot read ${path} (${role}): ${messageOf(error)}`, {
      hint: 'Let the user that runs lifeboat read it, or correct the path in the homeserver configuration.',
      cause: error,
    });
  }
}
