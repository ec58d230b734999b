import { lstat, readFile, readlink, stat } from 'node:fs/promises';
import { LifeboatError, messageOf } from '../core/errors.ts';
import { oldSigningKeysBlock } from '../homeserver/index.ts';
import type { Inventory, InventoryFile } from '../homeserver/port.ts';
import type { Progress } from '../observe/progress.ts';
import { readAccounts, type Accounts } from '../repository/accounts.ts';
import { archivePath, fitsLink } from '../repository/archive.ts';
import type { ConfigComponent, KeysComponent } from '../repository/manifest.ts';
import type { ArchiveInput, BackupWriter } from '../repository/port.ts';

/** Keys and configuration: two small archives of their own, so that they can be had with `age -d | tar x` alone. */
export async function backUpArchives(
  inventory: Inventory,
  writer: BackupWriter,
  progress: Progress,
): Promise<{ keys: KeysComponent; config: ConfigComponent; warnings: readonly string[] }> {
  const warnings: string[] = [];
  progress({ phase: 'keys', message: `sealing ${inventory.signingKeys.length} signing key(s)` });
  const keys = await writer.addArchive(await readAll(inventory, 'keys', warnings));
  progress({ phase: 'config', message: 'sealing configuration' });
  const config = await writer.addArchive(await readAll(inventory, 'config', warnings));
  return {
    keys: {
      archive: keys,
      public: inventory.signingKeys.map(({ keyId, publicKey }) => ({ keyId, publicKey })),
      oldSigningKeys: oldSigningKeysBlock(inventory.signingKeys),
    },
    config: { archive: config, secrets: inventory.secrets.map(({ name, file }) => ({ name, file })) },
    warnings,
  };
}

async function readAll(
  inventory: Inventory,
  component: InventoryFile['component'],
  warnings: string[],
): Promise<ArchiveInput[]> {
  const accounts = await readAccounts();
  const inputs: ArchiveInput[] = [];
  // One after the other: an admin's pattern may match thousands.
  for (const file of inventory.files) {
    if (file.component !== component) continue;
    try {
      inputs.push(await readOne(file, accounts));
    } catch (error) {
      if (file.optional !== true) throw error;
      warnings.push(`${messageOf(error)}; it is left out`);
    }
  }
  return inputs;
}

async function readOne(
  { path, role, type = 'file', inside }: InventoryFile,
  accounts: Accounts,
): Promise<ArchiveInput> {
  try {
    // What a link leads to, but for a link that is to be kept as one.
    const { mode, uid, gid } = await (type === 'symlink' ? lstat(path) : stat(path));
    const [owner, group] = [accounts.userName(uid), accounts.groupName(gid)];
    return {
      // Absolute paths become relative ones; the manifest keeps the original.
      path: archivePath(path),
      source: path,
      role,
      mode: mode & 0o7777,
      uid,
      gid,
      ...(owner === undefined ? {} : { owner }),
      ...(group === undefined ? {} : { group }),
      ...(inside === undefined ? {} : { inside }),
      ...(type === 'file' ? {} : { type }),
      ...(type === 'symlink' ? { target: await targetOf(path) } : {}),
      body: type === 'file' ? await readFile(path) : new Uint8Array(),
    };
  } catch (error) {
    throw fileUnreadable({ path, role }, error);
  }
}

async function targetOf(path: string): Promise<string> {
  const target = await readlink(path);
  if (!fitsLink(target)) throw new Error('the target of the link is too long for an archive');
  return target;
}

export function fileUnreadable(
  { path, role }: Pick<InventoryFile, 'path' | 'role'>,
  error: unknown,
): LifeboatError {
  return new LifeboatError('file-unreadable', `cannot read ${path} (${role}): ${messageOf(error)}`, {
    hint: 'Let the user that runs lifeboat read it, or correct the path in the homeserver configuration.',
    cause: error,
  });
}
