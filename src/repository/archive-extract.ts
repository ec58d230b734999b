import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, lchown, lstat, mkdir, open, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { LifeboatError } from '../core/errors.ts';
import { ensurePrivateDirectory, syncFolder } from '../storage/durable-file.ts';
import { fileError, systemCode } from '../storage/file-error.ts';
import type { ArchivedFile } from './manifest.ts';
import { isRegular, listTar, type TarMember } from './ustar.ts';

/**
 * Extracts exactly the declared files. Everything is checked before anything is written: GNU tar, given the same hostile
 * archive, refused `../` but wrote a link to an outside folder. Errors: `archive-unsafe` (hostile: nothing was written),
 * `repository-damaged` (cut or flipped: nothing was written), `target-not-empty`, `disk-full`, `file-unwritable`.
 */
export async function extractArchive(
  tar: Uint8Array,
  declared: readonly ArchivedFile[],
  targetDir: string,
  ownerOf: (file: ArchivedFile) => Owner | undefined = () => undefined,
): Promise<void> {
  const members = matchMembers(tar, declared);
  const target = resolve(targetDir);
  await ensurePrivateDirectory(target);
  for (const { file } of members) await requireFree(target, file.path);
  const folders = new Set([target]);
  const ofType = (wanted: string) => members.filter(({ file }) => (file.type ?? 'file') === wanted);
  for (const { file, body } of ofType('file')) {
    for (const folder of await makeFolders(target, file.path)) folders.add(folder);
    await writeNewFile(join(target, file.path), body, file.mode & 0o777, ownerOf(file));
  }
  for (const { file } of ofType('directory')) {
    for (const folder of await makeFolders(target, `${file.path}/.`)) folders.add(folder);
  }
  // Links after everything that is written, so that nothing is ever written through one.
  for (const { file } of ofType('symlink')) {
    for (const folder of await makeFolders(target, file.path)) folders.add(folder);
    await makeLink(join(target, file.path), file.target ?? '', ownerOf(file));
  }
  for (const folder of folders) await syncFolder(folder);
  // The deepest first: a folder that nobody may enter would lock us out of those in it.
  for (const { file } of ofType('directory').toSorted((a, b) => b.file.path.length - a.file.path.length))
    await finishFolder(join(target, file.path), file.mode & 0o777, ownerOf(file));
}

/** Numbers of this machine. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Relative, plain components. Errors: `archive-unsafe`. */
export function requireSafePath(path: string): void {
  const parts = path.split('/');
  const safe = parts.every(
    (part) => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= 255,
  );
  if (!safe || path.includes('\0'))
    throw unsafe(`archive has a path that could leave the target: ${JSON.stringify(path)}`);
}

export function unsafe(problem: string): LifeboatError {
  return new LifeboatError('archive-unsafe', problem);
}

interface MatchedFile {
  readonly file: ArchivedFile;
  readonly body: Uint8Array;
}

/** What the reader would say of this archive, without writing anything. Errors: as `extractArchive`, those of the archive. */
export function requireExtractable(tar: Uint8Array, declared: readonly ArchivedFile[]): void {
  matchMembers(tar, declared);
}

function matchMembers(tar: Uint8Array, declared: readonly ArchivedFile[]): MatchedFile[] {
  // Only paths that are declared, and so checked, are ever accepted.
  const awaited = declaredByPath(declared);
  const seen = new Set<string>();
  const matched: MatchedFile[] = [];
  for (const member of listTar(tar)) {
    const shown = JSON.stringify(member.name);
    if (!isRegular(member) && !['2', '5'].includes(member.type))
      throw unsafe(`archive has a member that is no regular file, directory or symbolic link: ${shown}`);
    if (seen.has(member.name)) throw unsafe(`archive has ${shown} twice`);
    seen.add(member.name);
    const file = awaited.get(member.name);
    if (file === undefined) throw unsafe(`archive has a file that the manifest does not name: ${shown}`);
    requireType(file, member);
    const body = tar.subarray(member.offset, member.offset + member.sizeBytes);
    requireContent(file, body);
    matched.push({ file, body });
  }
  const lost = declared.find((file) => !seen.has(file.path));
  if (lost !== undefined)
    throw damaged(`archive lacks ${JSON.stringify(lost.path)}, which the manifest names`);
  return matched;
}

/** What the manifest declares is what the tar must have: a file that is a link in the tar alone is hostile. */
function requireType(file: ArchivedFile, member: TarMember): void {
  const type = member.type === '5' ? 'directory' : member.type === '2' ? 'symlink' : 'file';
  const shown = JSON.stringify(member.name);
  if (type !== (file.type ?? 'file'))
    throw unsafe(`archive has a ${type} where the manifest names a ${file.type ?? 'file'}: ${shown}`);
  if (member.target !== (file.target ?? ''))
    throw unsafe(`archive has a link that leads elsewhere than the manifest says: ${shown}`);
  // What a restore reads is never a link: it would read, or give away, a file of this machine.
  if (type === 'symlink' && (file.role !== 'extra' || member.target === ''))
    throw unsafe(`archive has a link where there is to be a file: ${shown}`);
}

function declaredByPath(declared: readonly ArchivedFile[]): Map<string, ArchivedFile> {
  const byPath = new Map<string, ArchivedFile>();
  for (const file of declared) {
    requireSafePath(file.path);
    if (byPath.has(file.path)) throw unsafe(`manifest names ${JSON.stringify(file.path)} twice`);
    byPath.set(file.path, file);
  }
  for (const path of byPath.keys()) {
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
      const above = byPath.get(parent);
      if (above !== undefined && above.type !== 'directory')
        throw unsafe(`manifest names ${JSON.stringify(parent)} as a ${above.type ?? 'file'} and as a folder`);
    }
  }
  return byPath;
}

function requireContent(file: ArchivedFile, body: Uint8Array): void {
  if (body.length !== file.sizeBytes) {
    throw damaged(`archived file ${file.path} has ${body.length} bytes, the manifest says ${file.sizeBytes}`);
  }
  if (createHash('sha256').update(body).digest('hex') !== file.sha256) {
    throw damaged(`archived file ${file.path} has another SHA-256 than the manifest says`);
  }
}

/** What exists on the way must be folders, not links to folders; the file itself must not exist. */
async function requireFree(target: string, path: string): Promise<void> {
  const parts = path.split('/');
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const place = join(target, ...parts.slice(0, depth));
    const stats = await lstatIfThere(place);
    if (stats === undefined) return;
    if (depth < parts.length && stats.isDirectory()) continue;
    throw new LifeboatError('target-not-empty', `${place} is in the way of the archived file ${path}`, {
      hint: 'Extract into an empty folder.',
    });
  }
}

/** The folders that got a new entry. One level at a time, so that a link put there meanwhile is not walked through. */
async function makeFolders(target: string, path: string): Promise<string[]> {
  const folders: string[] = [];
  let folder = target;
  for (const part of path.split('/').slice(0, -1)) {
    folder = join(folder, part);
    try {
      await mkdir(folder, { mode: 0o700 });
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw fileError(error, folder, 'file-unwritable');
      if ((await lstatIfThere(folder))?.isDirectory() !== true) throw unsafe(`${folder} is not a folder`);
    }
    folders.push(folder);
  }
  return folders;
}

async function makeLink(path: string, target: string, owner: Owner | undefined): Promise<void> {
  try {
    await symlink(target, path);
    if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
  } catch (error) {
    throw fileError(error, path, 'file-unwritable');
  }
}

/** Made by us, a moment ago, in a folder that was private until now. */
async function finishFolder(path: string, mode: number, owner: Owner | undefined): Promise<void> {
  try {
    await chmod(path, mode);
    if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
  } catch (error) {
    throw fileError(error, path, 'file-unwritable');
  }
}

async function writeNewFile(
  path: string,
  body: Uint8Array,
  mode: number,
  owner: Owner | undefined,
): Promise<void> {
  try {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const handle = await open(path, flags, 0o600);
    try {
      await handle.writeFile(body);
      // Before the mode: who owns it must not be able to read a private file of another meanwhile.
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
      await handle.chmod(mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path, 'file-unwritable');
  }
}

async function lstatIfThere(path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw fileError(error, path, 'file-unwritable');
  }
}

function damaged(problem: string): LifeboatError {
  return new LifeboatError('repository-damaged', problem);
}
