import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../../src/demo/lab/index.ts';
import type { SftpStoreOptions } from '../../../src/storage/sftp/ssh-command.ts';

/** A real sshd on loopback, with keys, configuration and accounts of its own. */
export interface Sshd extends AsyncDisposable {
  /** Everything of it. */
  readonly directory: string;
  /** Where stores may lie; owned by the account. */
  readonly data: string;
  readonly port: number;
  options(path: string): SftpStoreOptions;
  /** Ends the sessions, as a broken line would, but not the server. */
  dropConnections(): void;
  /** From now on, in new sessions: requests by their names in sftp-server(8). */
  deny(requests: readonly string[]): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

const isRoot = process.getuid?.() === 0;

/** For a server that is run by root: another account of the machine, which has to lead nowhere special. */
export const ORDINARY_USER = isRoot ? 'postgres' : userInfo().username;

/** The server runs as this user, and lets only it in. */
export async function startSshd(user: string = userInfo().username): Promise<Sshd> {
  const directory = mkdtempSync(join(tmpdir(), 'lifeboat-sshd-'));
  chmodSync(directory, 0o755);
  const data = join(directory, 'data');
  mkdirSync(data, { mode: 0o700 });
  for (const name of ['host', 'client'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(directory, name)]);
  const [port = 0] = await freePorts(1);
  const hostKey = readFileSync(join(directory, 'host.pub'), 'utf8');
  writeFileSync(join(directory, 'known_hosts'), `[127.0.0.1]:${port} ${hostKey}`);
  writeFileSync(join(directory, 'authorized_keys'), readFileSync(join(directory, 'client.pub')));
  writeFileSync(join(directory, 'sshd_config'), configuration(directory, port));
  if (user !== userInfo().username) {
    const ids = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, user], { encoding: 'utf8' })));
    for (const name of ['data', 'host']) chownSync(join(directory, name), ids[0]!, ids[1]!);
  }
  // Compiled in as the place that an unprivileged part of a server run by root is locked into.
  if (isRoot) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });

  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const sshd = ['/usr/sbin/sshd', '-D', '-e', '-f', join(directory, 'sshd_config')];
    const argv =
      user === userInfo().username
        ? sshd
        : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups', ...sshd];
    const [program = '', ...rest] = argv;
    server = spawn(program, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    server.stderr?.on('data', (text: Buffer) => (said += text.toString()));
    while (!(await answers(port))) {
      if (server.exitCode !== null) throw new Error(`sshd ended with ${server.exitCode}: ${said}`);
      await sleep(20);
    }
  };
  const dropConnections = (): void => {
    for (const pid of descendants(server?.pid ?? -1)) kill(pid);
  };
  const stop = async (): Promise<void> => {
    if (server === undefined || server.exitCode !== null) return;
    const exit = once(server, 'exit');
    const sessions = descendants(server.pid ?? -1);
    server.kill('SIGTERM');
    await exit;
    sessions.forEach(kill);
  };
  await start();
  return {
    deny: async (requests) => {
      await stop();
      writeFileSync(join(directory, 'sshd_config'), configuration(directory, port, requests));
      await start();
    },
    directory,
    data,
    port,
    options: (path) => ({
      host: '127.0.0.1',
      user,
      port,
      path,
      identityFile: join(directory, 'client'),
      knownHostsFile: join(directory, 'known_hosts'),
      // Not the configuration of whoever runs the tests.
      sshOptions: ['GlobalKnownHostsFile=none'],
    }),
    dropConnections,
    stop,
    start,
    [Symbol.asyncDispose]: async () => {
      await stop();
      rmSync(directory, { recursive: true });
    },
  };
}

function configuration(directory: string, port: number, denied: readonly string[] = []): string {
  const deny = denied.length === 0 ? '' : ` -P ${denied.join(',')}`;
  return [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(directory, 'host')}`,
    `AuthorizedKeysFile ${join(directory, 'authorized_keys')}`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'MaxStartups 200',
    // Paths that are not absolute begin there.
    `Subsystem sftp internal-sftp -d ${join(directory, 'data')}${deny}`,
    '',
  ].join('\n');
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Processes that a process has started, and theirs. */
function descendants(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return [{ pid: Number(name), parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) }];
      } catch {
        return [];
      }
    });
  const childrenOf = (each: number): number[] =>
    parents.filter(({ parent }) => parent === each).flatMap((child) => [child.pid, ...childrenOf(child.pid)]);
  return childrenOf(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
