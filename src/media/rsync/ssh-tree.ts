import { posix } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { maskSecrets } from '../../core/secret.ts';
import { runCommand, streamOut, type CommandResult } from '../../exec/index.ts';
import { locationOf, sshLogin, type SftpStoreOptions } from '../../storage/sftp/ssh-command.ts';
import { connectionError } from '../../storage/sftp/ssh-errors.ts';
import { requireSafePath } from '../regular-file.ts';
import type { Look, Tree } from './tree.ts';

/** What a shell takes as it is, whichever it is: the root comes from lifeboat.yaml, folders are ours. */
const PLAIN = /^[\w.@%+=,:/-]*$/;
/** Names in one call, so that what it says of each stays below the bound of `runCommand`. */
const NAMES_AT_ONCE = 2048;

/**
 * A directory of another machine, by its shell over SSH: GNU coreutils and findutils. Names of files go through standard
 * input, ended by NUL, never through the shell. Errors also: `usage`, for a root that a shell might take for something else.
 */
export function sshTree(options: SftpStoreOptions, signal?: AbortSignal): Tree {
  const location = locationOf(options);
  // rsync and cd both begin in the home of the account; the tilde would stay a tilde to rsync.
  const root = options.path.replace(/^~\//, '');
  const at = (path: string): string => posix.join(root, path);
  const login = sshLogin(options);

  const ask = async (command: string, input: string = ''): Promise<CommandResult> => {
    const result = await runCommand([...login, '--', options.host, command], { input, signal });
    if (result.exitCode === 255) throw connectionError(location, result.stderr);
    return result;
  };
  const must = async (what: string, command: string): Promise<CommandResult> => {
    const result = await ask(command);
    if (result.exitCode !== 0) throw refused(`cannot ${what} at ${location}`, result);
    return result;
  };
  /** One answer, ended by NUL, for each name that there is one for. */
  const each = async (folder: string, names: readonly string[], command: string): Promise<string[]> => {
    const answers: string[] = [];
    for (let from = 0; from < names.length; from += NAMES_AT_ONCE) {
      const input = names.slice(from, from + NAMES_AT_ONCE).join('\0');
      const result = await ask(
        `cd ${quoted(at(folder))} && env LC_ALL=C xargs -0 -r ${command} --`,
        `${input}\0`,
      );
      // 123: one of the calls failed, which is how files that are not there are told.
      const failed = result.exitCode === 123 ? failures(command, result.stderr) : result.stderr;
      if (result.exitCode !== 0 && (result.exitCode !== 123 || failed !== ''))
        throw refused(`cannot read ${at(folder)} at ${location}`, { ...result, stderr: failed });
      answers.push(...result.stdout.split('\0').slice(0, -1));
    }
    return answers;
  };

  return {
    location,
    remoteShell: login.map((part) => `'${part.replaceAll("'", "''")}'`).join(' '),
    rsyncName: (folder) => {
      const host = options.host.includes(':') ? `[${options.host}]` : options.host;
      return `${host}:${at(folder)}/`;
    },
    names: async (folder) => {
      const path = quoted(at(folder));
      const result = await ask(`test ! -e ${path} || find ${path}/ -maxdepth 1 -printf '%P\\0'`);
      if (result.exitCode !== 0) throw refused(`cannot read ${at(folder)} at ${location}`, result);
      // The first is the folder itself, as an empty name.
      const [itself, ...names] = result.stdout.split('\0').slice(0, -1);
      return itself === undefined ? undefined : names;
    },
    makeFolder: async (folder) =>
      void (await must(`make ${at(folder)}`, `umask 077 && mkdir -p -- ${quoted(at(folder))}`)),
    rename: async (from, to) => {
      const target = quoted(at(to));
      const command = `test ! -e ${target} && mv -T -- ${quoted(at(from))} ${target}`;
      await must(`rename ${at(from)} to ${at(to)}`, command);
    },
    remove: async (folder) =>
      void (await must(`remove ${at(folder)}`, `rm -rf -- ${quoted(at(requireBelow(folder)))}`)),
    look: async (folder, paths) => {
      paths.forEach(requireSafePath);
      const found = new Map<string, Look>();
      for (const answer of await each(folder, paths, `stat --printf='%f %s %i %.9Y %n\\0'`)) {
        const [, mode, size, inode, time, path] = /^(\w+) (\d+) (\d+) (\S+) (.+)$/s.exec(answer) ?? [];
        if (path === undefined || (Number.parseInt(mode!, 16) & FILE_TYPE) !== REGULAR) continue;
        found.set(path, { sizeBytes: Number(size), stamp: `${size}:${inode}:${time}` });
      }
      return found;
    },
    sha256: async (folder, paths) => {
      paths.forEach(requireSafePath);
      const lines = await each(folder, paths, 'sha256sum -z');
      return new Map(
        lines.flatMap((line) => {
          const [, sha256, path] = /^([0-9a-f]{64}) [ *](.+)$/s.exec(line) ?? [];
          return sha256 === undefined || path === undefined ? [] : [[path, sha256] as const];
        }),
      );
    },
    link: async (from, to, paths) => {
      paths.forEach(requireSafePath);
      const there = quoted(posix.relative(from, to));
      await each(from, paths, `cp --link --parents --no-dereference --target-directory=${there}`);
    },
    linked: async (folders) => {
      folders.forEach(requireSafePath);
      const [real = '', ...places] = await each('', ['.', ...folders], 'realpath -z -m');
      return folders.filter((folder, index) => places[index] !== posix.join(real, folder));
    },
    walk: (folders) => walk([...login, '--', options.host], quoted(at('')), folders, signal),
    publish: async (from, to) => {
      const [made, named, above] = [from, to, posix.dirname(to)].map((path) => quoted(at(path)));
      const command = `sync -f ${made} && test ! -e ${named} && mv -T -- ${made} ${named} && sync -f ${above}`;
      await must(`publish ${at(to)}`, command);
    },
  };
}

/** Of st_mode, inode(7). */
const FILE_TYPE = 0o170000;
const REGULAR = 0o100000;

/** Quotes keep apart what is one word already; nothing inside of them needs a meaning taken away. */
function quoted(path: string): string {
  if (!PLAIN.test(path) || path.startsWith('-'))
    throw new LifeboatError('usage', `the path ${JSON.stringify(path)} cannot be used over SSH`, {
      hint: 'Use a path of letters, digits and . _ - / @ % + = , only.',
    });
  return `'${path === '' ? '.' : path}'`;
}

/** The root itself is never removed. */
function requireBelow(folder: string): string {
  requireSafePath(folder);
  return folder;
}

/** What `stat` of this machine finds no file by, too. */
const NOT_THERE = /: (?:No such file or directory|Not a directory|File name too long|Is a directory)$/;

/** Lines of the program itself, each of one name, that say more than that there is no such file; ssh says things, too. */
function failures(command: string, stderr: string): string {
  const [program] = command.split(' ');
  const lines = stderr.split('\n');
  return lines.filter((line) => line.startsWith(`${program}: `) && !NOT_THERE.test(line)).join('\n');
}

function refused(what: string, { stderr, exitCode }: CommandResult): LifeboatError {
  const said = maskSecrets(stderr.trim().split('\n').slice(-3).join(' / '));
  const full = /No space left on device|Disk quota exceeded/.test(stderr);
  const missing = exitCode === 127;
  const broken = /Input\/output error/.test(stderr);
  return new LifeboatError(
    full ? 'disk-full' : missing ? 'command-missing' : broken ? 'file-unreadable' : 'store-denied',
    `${what}: ${said === '' ? `exit status ${exitCode}` : said}`,
    {
      hint: missing
        ? 'Install rsync, coreutils and findutils there.'
        : broken
          ? 'Look for errors of the disk there (dmesg).'
          : 'Let the account read and write there, with a shell and not only SFTP.',
    },
  );
}

/** Sorted there, so that nothing is kept here. */
async function* walk(
  argv: readonly string[],
  root: string,
  folders: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  const wanted = folders.map(quoted).join(' ');
  // Of a folder that is not there find complains, and goes on.
  const command = `cd ${root} && find ${wanted} -type f -print0 | env LC_ALL=C sort -z`;
  const { stdout, done } = streamOut([...argv, command], { signal });
  done.catch(() => undefined);
  let rest = '';
  for await (const piece of stdout.setEncoding('utf8') as AsyncIterable<string>) {
    const names = `${rest}${piece}`.split('\0');
    rest = names.pop() ?? '';
    yield* names;
  }
}
