import { parseLocation } from '../../storage/location.ts';
import type { SftpSettings } from '../../config/store.ts';
import { LifeboatError } from '../../core/errors.ts';
import { localTree } from './local-tree.ts';
import { sshTree } from './ssh-tree.ts';

/**
 * A folder of this machine or of another, with what rsync cannot do by itself. Paths are relative to it, with `/`, and `folder`
 * is where those of a list begin. Nothing reads through a symbolic link that is not the root itself.
 * Errors of a server: `store-unreachable`, `store-denied`; of a disk: `file-unwritable`, `file-unreadable`, `disk-full`.
 */
export interface Tree {
  /** As `repository.path` of lifeboat.yaml. */
  readonly location: string;
  /** What rsync calls a folder of it. */
  rsyncName(folder: string): string;
  /** What `rsync -e` needs; undefined on this machine. */
  readonly remoteShell: string | undefined;
  /** Names in a folder; undefined when it is not there. */
  names(folder: string): Promise<readonly string[] | undefined>;
  /** With those above it, for nobody else to read. */
  makeFolder(folder: string): Promise<void>;
  /** Of a folder; the new name must not exist. */
  rename(from: string, to: string): Promise<void>;
  /** With everything in it. */
  remove(folder: string): Promise<void>;
  /** Regular files only; those that are not there are left out. */
  look(folder: string, paths: readonly string[]): Promise<ReadonlyMap<string, Look>>;
  /** Lower-case hex; those that are not there are left out. */
  sha256(folder: string, paths: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** These files of one folder in another, too; those that are not there are left out. */
  link(from: string, to: string, paths: readonly string[]): Promise<void>;
  /** Those of these folders that are reached through a symbolic link. */
  linked(folders: readonly string[]): Promise<readonly string[]>;
  /** All regular files of these folders, in the order of `comparePaths`. */
  walk(folders: readonly string[]): AsyncIterable<string>;
  /** As `rename`; everything in it is on the disk before it has its name, and the name when this resolves. */
  publish(from: string, to: string): Promise<void>;
}

export interface Look {
  readonly sizeBytes: number;
  /** Size, inode and time of the content: the same for all names of one file, whatever becomes of the others. */
  readonly stamp: string;
}

/**
 * `place`: an absolute directory, or `sftp:USER@HOST:/PATH`. `signal` ends what a server is asked, with `interrupted`. Connects
 * nowhere. Errors: `usage`.
 */
export function openTree(place: string, ssh: SftpSettings | undefined, signal?: AbortSignal): Tree {
  const location = parseLocation(place);
  if (location.kind === 'local') return localTree(location.directory);
  if (location.kind === 's3') throw new LifeboatError('usage', `${place}: rsync does not reach S3`);
  const { identityFile, knownHostsFile, options } = ssh ?? {};
  return sshTree({ ...location, identityFile, knownHostsFile, sshOptions: options }, signal);
}
