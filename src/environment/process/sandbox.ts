import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LifeboatError } from '../../core/errors.ts';
import { findProgram } from '../../exec/index.ts';
import type { AgentSettings } from './protocol.ts';
import type { SandboxUser } from './user.ts';

export interface SandboxPlan {
  /** Generated files for /etc; outside the sandbox' writable part. */
  readonly etcDirectory: string;
  /** Read-write, at the same path inside. */
  readonly directory: string;
  readonly readOnlyPaths: readonly string[];
  readonly user: SandboxUser;
  readonly settings: AgentSettings;
}

const HOST_NAME = 'lifeboat-drill';
const NODE = '/lifeboat/node';
const AGENT = '/lifeboat/process';
/** Directories that programs live in; links on merged-/usr systems, directories on others. */
const SYSTEM = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
/** Of the host's /etc only what programs need to start; no passwords, no keys, no resolver. */
const ETC = [
  '/etc/alternatives',
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/localtime',
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
];
const DEVICES = ['/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom'];

/**
 * The command line of a namespace that holds nothing but programs and the drill's own directory, and whose only network
 * interface is loopback. It ends when we end (--die-with-parent), and with it all that runs inside (--unshare-pid).
 * bubblewrap(1). /dev is not made by --dev, which nests a second user namespace, in which port 443 cannot be bound.
 */
export function sandboxArgv(plan: SandboxPlan): string[] {
  const { user } = plan;
  return [
    bubblewrap(),
    ...(user.borrowed ? [] : ['--unshare-user', '--cap-add', 'CAP_NET_BIND_SERVICE']),
    ...[
      '--unshare-net',
      '--unshare-pid',
      '--unshare-ipc',
      '--unshare-uts',
      '--die-with-parent',
      '--new-session',
    ],
    ...['--hostname', HOST_NAME],
    ...['--ro-bind', '/usr', '/usr', ...SYSTEM.flatMap(systemDirectory)],
    ...['--proc', '/proc', '--tmpfs', '/dev', ...DEVICES.flatMap((device) => ['--dev-bind', device, device])],
    ...[
      '--symlink',
      '/proc/self/fd',
      '/dev/fd',
      '--perms',
      '1777',
      '--tmpfs',
      '/dev/shm',
      '--perms',
      '1777',
      '--tmpfs',
      '/tmp',
    ],
    ...ETC.filter((path) => existsSync(path)).flatMap((path) => bound('--ro-bind', path)),
    ...['passwd', 'group', 'hosts', 'nsswitch.conf', 'resolv.conf'].flatMap((name) =>
      bound('--ro-bind', join(plan.etcDirectory, name), `/etc/${name}`),
    ),
    ...bound('--ro-bind', process.execPath, NODE),
    ...bound('--ro-bind', dirname(fileURLToPath(import.meta.url)), AGENT),
    ...plan.readOnlyPaths.flatMap((path) => bound('--ro-bind', path)),
    ...bound('--bind', plan.directory),
    // An ordinary user owns the file systems of its sandbox: nothing is to be written but the drill's directory, /tmp and /dev/shm.
    ...['--remount-ro', '/dev', '--remount-ro', '/'],
    ...[
      '--chdir',
      plan.directory,
      '--clearenv',
      '--setenv',
      'PATH',
      '/usr/bin:/bin',
      '--setenv',
      'HOME',
      plan.directory,
      '--setenv',
      'LANG',
      'C.UTF-8',
    ],
    '--',
    ...(user.borrowed ? asUser(user) : []),
    ...[NODE, `${AGENT}/agent/main${extname(import.meta.url)}`, JSON.stringify(plan.settings)],
  ];
}

function bubblewrap(): string {
  const program = findProgram('bwrap');
  if (program !== undefined) return program;
  throw new LifeboatError('drill-impossible', 'bwrap, which makes the sandbox of a drill, is not installed', {
    hint: 'Install it: apt-get install bubblewrap',
  });
}

/** What the C library asks: who am I, what is localhost, and that nobody but the agent answers for names. */
export async function writeEtc(
  directory: string,
  user: SandboxUser,
  home: string,
  hostNames: readonly string[],
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const files = {
    passwd: `root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n${user.name}:x:${user.uid}:${user.gid}::${home}:/usr/sbin/nologin\n`,
    group: `root:x:0:\n${user.name}:x:${user.gid}:\n`,
    // Programs ask for the name of the machine that they run on.
    hosts: ['localhost', HOST_NAME, ...hostNames].map((name) => `127.0.0.1 ${name}\n`).join(''),
    'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
    'resolv.conf': 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n',
  };
  await Promise.all(
    Object.entries(files).map(([name, text]) => writeFile(join(directory, name), text, { mode: 0o644 })),
  );
}

/** Parents first, because bubblewrap would make them for root only. */
function bound(how: '--bind' | '--ro-bind', source: string, target = source): string[] {
  const parents: string[] = [];
  for (let parent = dirname(target); parent !== '/'; parent = dirname(parent)) parents.unshift(parent);
  const made = parents.filter((parent) => parent !== '/usr' && !parent.startsWith('/usr/'));
  return [...made.flatMap((parent) => ['--perms', '0755', '--dir', parent]), how, source, target];
}

function systemDirectory(path: string): string[] {
  if (!existsSync(path)) return [];
  return lstatSync(path).isSymbolicLink()
    ? ['--symlink', readlinkSync(path), path]
    : ['--ro-bind', path, path];
}

/** The one capability that is left binds ports below 1024 of a network that ends at loopback. */
function asUser({ uid, gid }: SandboxUser): string[] {
  const one = '+net_bind_service';
  return [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    '--no-new-privs',
    `--bounding-set=-all,${one}`,
    `--inh-caps=-all,${one}`,
    `--ambient-caps=-all,${one}`,
  ];
}
