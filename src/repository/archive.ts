import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { extractArchive, requireExtractable, requireSafePath, unsafe } from './archive-extract.ts';
import type { ArchivedFile } from './manifest.ts';
import type { ArchiveInput } from './port.ts';
import { endOfTar, fitsLink, fitsUstar, paddingAfter, tarHeader, type TarEntry } from './ustar.ts';

export { extractArchive, fitsLink };

/**
 * Archives of keys and configuration: a plain tar that any tar can open, and in the manifest the list of what must be in it.
 */

/** The path inside the archive of a file of the source machine: relative, unique for each absolute path. */
export function archivePath(source: string): string {
  const path = resolve(source).slice(1);
  if (fitsUstar(path)) return path;
  // Too long for a tar header: the hash keeps it unique, the manifest keeps the real place.
  const name = Buffer.from(path.slice(path.lastIndexOf('/') + 1))
    .subarray(0, 64)
    .toString('latin1')
    .replaceAll(/[^\w.-]/g, '_');
  return `long/${createHash('sha256').update(path).digest('hex')}/${name}`;
}

const TAR_TYPES: Readonly<Record<'file' | 'directory' | 'symlink', TarEntry['type'] & string>> = {
  file: 'File',
  directory: 'Directory',
  symlink: 'SymbolicLink',
};

/** Errors: `archive-unsafe` for what could not be extracted again: the backup is to fail tonight, not the restore. */
export async function buildArchive(
  files: readonly ArchiveInput[],
): Promise<{ tar: Uint8Array; files: ArchivedFile[] }> {
  const parts: Uint8Array[] = [];
  const archived: ArchivedFile[] = [];
  const seen = new Set<string>();
  for (const { body, ...file } of files) {
    requireSafePath(file.path);
    if (seen.has(file.path)) throw unsafe(`archive would hold ${file.path} twice`);
    if (!fitsUstar(file.path)) throw unsafe(`path is too long for an archive: ${file.path}`);
    seen.add(file.path);
    const mode = file.mode & 0o777;
    const { type = 'file', target, uid, gid, owner, group } = file;
    if (type !== 'file' && body.length > 0) throw unsafe(`${file.path} is no file and has content`);
    if ((type === 'symlink') !== (target !== undefined))
      throw unsafe(`${file.path}: only a link has a target`);
    if (target !== undefined && !fitsLink(target))
      throw unsafe(`the target of the link ${file.path} is too long for an archive`);
    const entry = { type: TAR_TYPES[type], target, uid, gid, owner, group };
    parts.push(tarHeader(file.path, body.length, mode, entry), body, paddingAfter(body.length));
    archived.push({
      ...file,
      mode,
      sizeBytes: body.length,
      sha256: createHash('sha256').update(body).digest('hex'),
    });
  }
  const tar = Buffer.concat([...parts, endOfTar]);
  requireExtractable(tar, archived);
  return { tar, files: archived };
}
