import { lchown, lstat, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import type { Environment, EnvironmentCommand, EscapeAttempt, ExecResult } from '../port.ts';
import { makeDrillDirectory, sweepAbandoned } from './abandoned.ts';
import { startAgent, type Agent } from './agent-client.ts';
import { openConnection } from './connection.ts';
import { startPostgres } from './postgres.ts';
import type { EscapeTarget } from './protocol.ts';
import { sandboxArgv, writeEtc } from './sandbox.ts';
import { chooseUser } from './user.ts';

export interface ProcessEnvironmentOptions {
  /** Where the drill's directory is made. */
  readonly workDirectory: string;
  readonly postgresDirectory?: string | undefined;
  /** Installations that services inside need, at the same paths: the homeserver's virtual environment. */
  readonly readOnlyPaths: readonly string[];
  /** Names that resolve to 127.0.0.1 inside, and nowhere else. */
  readonly hostNames: readonly string[];
  readonly srv?: Readonly<Record<string, { readonly target: string; readonly port: number }>>;
  /** For who wants to look at what is left; only the directory, never a process. */
  readonly keepDirectory?: boolean;
}

const EXEC_TIMEOUT_MS = 3_600_000;
const STOP_GRACE_MS = 10_000;

/** A namespace on this machine: no Docker, no root needed (docs/decisions/0001). */
export async function createProcessEnvironment(options: ProcessEnvironmentOptions): Promise<Environment> {
  await sweepAbandoned(options.workDirectory);
  const user = await chooseUser();
  const base = await makeDrillDirectory(options.workDirectory);
  const directory = join(base, 'work');
  const logs = join(directory, 'logs');
  const servers: Server[] = [];
  let agent: Agent | undefined;
  const inside = (): Agent => {
    if (agent === undefined) throw new LifeboatError('drill-impossible', 'the sandbox is not prepared');
    return agent;
  };
  const withDefaults = ({ argv, env, cwd }: EnvironmentCommand) => ({
    argv,
    env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: directory, ...env },
    cwd: cwd ?? directory,
  });

  const environment: Environment = {
    kind: 'process',
    directory,
    user: `uid ${user.uid}`,
    prepare: async () => {
      for (const path of [directory, logs]) await mkdir(path, { recursive: true, mode: 0o700 });
      const etcDirectory = join(base, 'etc');
      await writeEtc(etcDirectory, user, directory, options.hostNames);
      await environment.handOver(directory);
      const settings = { gate: join(directory, 'gate.sock'), hostNames: options.hostNames, srv: options.srv ?? {} };
      const logFile = join(base, 'sandbox.log');
      const argv = sandboxArgv({ etcDirectory, directory, readOnlyPaths: options.readOnlyPaths, user, settings });
      agent = await startAgent(argv, logFile, () => readFile(logFile, 'utf8'));
    },
    attemptEscape: () => inside().ask<EscapeAttempt[]>({ op: 'escape', targets: waysOut() }),
    handOver: (path) => (user.borrowed ? chownAll(path, user.uid, user.gid) : Promise.resolve()),
    postgres: () => startPostgres(environment, options.postgresDirectory),
    exec: (command) => inside().ask<ExecResult>({ op: 'exec', timeoutMs: command.timeoutMs ?? EXEC_TIMEOUT_MS, ...withDefaults(command) }),
    run: async (name, command) => {
      const logFile = join(logs, `${name}.log`);
      const ended = inside().exitOf(name);
      await inside().ask({ op: 'start', name, log: logFile, ...withDefaults(command) });
      const stop = async () => {
        await inside().ask({ op: 'stop', name, graceMs: STOP_GRACE_MS });
      };
      return { name, ended, logFile, stop };
    },
    connect: (port) => openConnection(join(directory, 'gate.sock'), port),
    listen: async (port, onConnection) => {
      const socket = join(directory, `listen-${port}.sock`);
      const server = createServer({ allowHalfOpen: true }, onConnection);
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve));
      servers.push(server);
      await environment.handOver(socket);
      await inside().ask({ op: 'listen', port, socket });
    },
    outsidePackets: () => inside().ask<number>({ op: 'packets' }),
    strayLookups: () => inside().ask<string[]>({ op: 'lookups' }),
    destroy: async () => {
      for (const server of servers.splice(0)) server.close();
      await agent?.end();
      if (options.keepDirectory !== true) await rm(base, { recursive: true, force: true });
    },
  };
  return environment;
}

/** Every kind of way out, tried from inside by the sandbox' user. Nothing of it leaves the namespace, or the drill is off. */
function waysOut(): EscapeTarget[] {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const hostAddresses = own.filter(({ internal, scopeid }) => !internal && (scopeid ?? 0) === 0).map(({ address }) => address);
  return [
    { how: 'tcp', to: '1.1.1.1', port: 443 },
    { how: 'tcp', to: '10.0.0.1', port: 80 },
    { how: 'tcp', to: '192.168.0.1', port: 80 },
    { how: 'tcp', to: '169.254.169.254', port: 80 },
    { how: 'tcp', to: '2606:4700:4700::1111', port: 443 },
    ...hostAddresses.map((to): EscapeTarget => ({ how: 'tcp', to, port: 22 })),
    { how: 'udp', to: '8.8.8.8', port: 53 },
    { how: 'dns', to: 'matrix.org', port: 0 },
    { how: 'file', to: '/etc/shadow', port: 0 },
    { how: 'socket', to: '/var/run/postgresql/.s.PGSQL.5432', port: 0 },
    { how: 'socket', to: '/var/run/docker.sock', port: 0 },
  ];
}

/** Links are given away, not followed. */
async function chownAll(path: string, uid: number, gid: number): Promise<void> {
  const found = await lstat(path);
  await lchown(path, uid, gid);
  if (!found.isDirectory()) return;
  for (const name of await readdir(path)) await chownAll(join(path, name), uid, gid);
}
