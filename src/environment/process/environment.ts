import { chmod, mkdir } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import type { Environment, EnvironmentCommand, EscapeAttempt, ExecResult } from '../port.ts';
import { makeDrillDirectory, removeDrillDirectory, sweepAbandoned } from './abandoned.ts';
import { startAgent, type Agent } from './agent-client.ts';
import { openConnection } from './connection.ts';
import { handOver } from './hand-over.ts';
import { installationParts, startPostgres } from './postgres.ts';
import { startRestored } from './restored-postgres.ts';
import { sandboxArgv, writeEtc } from './sandbox.ts';
import { namespaceHints } from './user-namespaces.ts';
import { chooseUser } from './user.ts';
import { requireSealed, waysOut } from './ways-out.ts';

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

const STOP_GRACE_MS = 10_000;

/** A namespace on this machine: no Docker, no root needed (docs/decisions/0001). */
export async function createProcessEnvironment(options: ProcessEnvironmentOptions): Promise<Environment> {
  await sweepAbandoned(options.workDirectory);
  const user = await chooseUser();
  const base = await makeDrillDirectory(options.workDirectory);
  const directory = join(base, 'work');
  const logs = join(directory, 'logs');
  const home = join(directory, 'home');
  const gate = join(directory, 'sockets', 'gate.sock');
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const remember = (socket: Socket): Socket => {
    sockets.add(socket.once('close', () => sockets.delete(socket)));
    return socket;
  };
  let agent: Agent | undefined;
  let destroying = Promise.resolve();
  const inside = (): Agent => {
    if (agent === undefined) throw new LifeboatError('drill-impossible', 'the sandbox is not prepared');
    return agent;
  };
  const withDefaults = ({ argv, env, cwd }: EnvironmentCommand) => ({
    argv,
    env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8', HOME: home, ...env },
    cwd: cwd ?? home,
  });

  const environment: Environment = {
    kind: 'process',
    directory,
    home,
    user: `uid ${user.uid}`,
    prepare: async () => {
      // The directory itself stays ours: whoever writes in it later, by path, must find no link that was put there from inside.
      await mkdir(directory, { mode: 0o711 });
      await chmod(directory, 0o711);
      const etcDirectory = join(base, 'etc');
      await writeEtc(etcDirectory, user, home, options.hostNames);
      const settings = {
        gate,
        hostNames: options.hostNames,
        srv: options.srv ?? {},
      };
      const logFile = join(base, 'sandbox.log');
      const readOnlyPaths = [...options.readOnlyPaths, ...installationParts(options.postgresDirectory)];
      const argv = sandboxArgv({ etcDirectory, directory, readOnlyPaths, user, settings });
      for (const path of [logs, home, dirname(gate), join(directory, 'postgres')]) {
        await mkdir(path, { mode: 0o700 });
        await environment.handOver(path);
      }
      agent = await startAgent(argv, logFile, () => namespaceHints(user.borrowed));
      requireSealed(await environment.attemptEscape());
    },
    attemptEscape: async () => await inside().ask<EscapeAttempt[]>({ op: 'escape', targets: waysOut() }),
    handOver: (path) => handOver(path, directory, user),
    postgres: () => startPostgres(environment, options.postgresDirectory),
    restoredPostgres: (cluster) => startRestored(environment, cluster, options.postgresDirectory),
    exec: async (command) =>
      await inside().ask<ExecResult>({
        op: 'exec',
        timeoutMs: command.timeoutMs,
        ...withDefaults(command),
      }),
    run: async (name, command) => {
      const logFile = join(logs, `${name}.log`);
      const { ended } = await inside().start({ op: 'start', name, log: logFile, ...withDefaults(command) });
      const stop = async () => {
        await inside().ask({ op: 'stop', name, graceMs: STOP_GRACE_MS });
      };
      return { name, ended, logFile, stop };
    },
    connect: async (port) => remember(await openConnection(gate, port)),
    listen: async (port, onConnection) => {
      const socket = join(directory, `listen-${port}.sock`);
      const server = createServer({ allowHalfOpen: true }, (connection) =>
        onConnection(remember(connection)),
      );
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socket, resolve));
      servers.push(server);
      await environment.handOver(socket);
      await inside().ask({ op: 'listen', port, socket });
    },
    attempts: async () => await inside().ask<number>({ op: 'attempts' }),
    outsidePackets: async () => await inside().ask<number>({ op: 'packets' }),
    strayLookups: async () => await inside().ask<string[]>({ op: 'lookups' }),
    destroy: () => {
      const destroy = async () => {
        for (const server of servers.splice(0)) server.close();
        await agent?.end();
        for (const socket of sockets) socket.destroy();
        // The kernel ends what is left inside a moment after bubblewrap has ended; until then files may appear.
        if (options.keepDirectory !== true) await removeDrillDirectory(base);
      };
      // An interruption and the end of a drill may both ask for it, one while the other is at it.
      destroying = destroying.then(destroy, destroy);
      return destroying;
    },
  };
  return environment;
}
