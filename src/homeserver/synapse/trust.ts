import { lstat, readFile, readdir, readlink, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';

/** Under which user a program that was found may be started: ours (`undefined` ids), its owner, or nobody at all. */
export type Runner =
  | { readonly allowed: true; readonly uid: number | undefined; readonly gid: number | undefined }
  | { readonly allowed: false; readonly reason: string };

export interface TrustOptions {
  /** Named by the admin: then the sticky bit of a directory is enough, in which only an owner replaces what is his. */
  readonly named: boolean;
  /** Our own user; process.getuid() by default. */
  readonly ourUid?: number | undefined;
}

interface Element {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly link: boolean;
}

const OURSELVES: Runner = { allowed: true, uid: undefined, gid: undefined };
const NOBODY = 65_534;
/** As the kernel (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * Root must not run what another user can put there. Everything that decides about a Python program counts: each directory
 * and link on its way, the file, and the virtual environment around it (a link to /usr/bin/python3 imports what stands beside
 * the link). What belongs to another user is run as that user. Errors: those of the file system, when there is no such program.
 */
export async function runnerOf(program: string, { named, ourUid }: TrustOptions): Promise<Runner> {
  if ((ourUid ?? process.getuid?.()) !== 0) return OURSELVES;
  const elements = await elementsOf(resolve(program));
  for (const part of await environmentOf(program)) elements.push(...(await elementsOf(part)));
  const owner = elements.findLast(({ uid }) => uid !== 0);
  if (owner !== undefined) return { allowed: true, uid: owner.uid, gid: await groupOf(owner.uid) };
  const open = elements.find((element) => isOpen(element, named));
  if (open === undefined) return OURSELVES;
  return { allowed: false, reason: `${open.path} can be written to by others than root` };
}

/** The mode of a symbolic link means nothing; group root is root's own. */
function isOpen({ mode, gid, link }: Element, stickyIsSafe: boolean): boolean {
  if (link || (stickyIsSafe && (mode & 0o1000) !== 0)) return false;
  return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0);
}

/** Every directory, link and file that the kernel passes on its way to the path. */
async function elementsOf(path: string): Promise<Element[]> {
  const elements: Element[] = [];
  let [at, links] = ['/', 0];
  const pending = ['.', ...path.split('/').filter((name) => name !== '')];
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    const next = join(at, name);
    const { uid, gid, mode, ...found } = await lstat(next).then((stats) => ({
      uid: stats.uid,
      gid: stats.gid,
      mode: stats.mode,
      link: stats.isSymbolicLink(),
    }));
    elements.push({ path: next, uid, gid, mode, ...found });
    if (!found.link) {
      at = next;
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) throw new Error(`${path}: too many symbolic links`);
    const target = await readlink(next);
    if (isAbsolute(target)) at = '/';
    pending.unshift(...target.split('/').filter((each) => each !== ''));
  }
  return elements;
}

/** Of a virtual environment (PEP 405): what makes it one, and where it keeps its packages. */
async function environmentOf(program: string): Promise<string[]> {
  const root = dirname(dirname(resolve(program)));
  if ((await stat(join(root, 'pyvenv.cfg')).catch(() => undefined)) === undefined) return [];
  const versions = await readdir(join(root, 'lib')).catch((): string[] => []);
  const packages = versions.flatMap((version) => {
    const directory = join(root, 'lib', version, 'site-packages');
    return [directory, join(directory, 'synapse'), join(directory, 'synapse/__init__.py')];
  });
  const there = await Promise.all(
    packages.map(async (path) => (await stat(path).catch(() => undefined)) !== undefined),
  );
  return [join(root, 'pyvenv.cfg'), ...packages.filter((_path, index) => there[index])];
}

/** The user's own group, never the file's: a file of a user may belong to the group root. */
async function groupOf(uid: number): Promise<number> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const fields = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .find(([, , id]) => id === String(uid));
  return Number(fields?.[3] ?? NOBODY);
}
