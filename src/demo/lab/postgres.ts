import { randomBytes } from 'node:crypto';
import { chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LifeboatError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { connect, createDatabase, newestClient } from '../../database/index.ts';
import type { PostgresTarget } from '../../database/port.ts';
import { runCommand, startService } from '../../exec/index.ts';
import { freePorts } from './free-port.ts';
import { logEnd } from './log-end.ts';
import { endingWithUs } from './with-us.ts';

export interface LabPostgresOptions {
  /** Made anew; everybody must be able to enter its parents (mode o+x), because root's PostgreSQL runs as another user. */
  readonly directory: string;
  /** Directory of initdb and postgres; by default the newest of the machine. */
  readonly binDirectory?: string;
  readonly port?: number;
  /** Further `NAME=VALUE`, which win over the lab's own. */
  readonly settings?: readonly string[];
}

export interface LabPostgres {
  /** A superuser, by TCP with a password. */
  readonly target: PostgresTarget;
  /** An empty database, and a role with a password that owns it. */
  createDatabase(name: string, owner: string): Promise<PostgresTarget>;
  dropDatabase(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** No durability, all speed: nobody misses this cluster after a power failure. */
const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'fsync=off',
  'full_page_writes=off',
  'synchronous_commit=off',
  'max_connections=200',
];
const READY_TIMEOUT_MS = 60_000;
const SUPERUSER = 'lab';

/** A new cluster in UTF8 with locale C, as Synapse demands. Errors: `command-missing`, `start-failed`. */
export async function startPostgres(options: LabPostgresOptions): Promise<LabPostgres> {
  const { directory, binDirectory } = options;
  const [initdb, server] = await Promise.all(
    ['initdb', 'postgres'].map(async (name) => (await newestClient(name, binDirectory)).path),
  );
  const user = await unprivilegedUser();
  await mkdir(directory, { recursive: true });
  if (user !== undefined) await chown(directory, user.uid, user.gid);
  const password = new Secret(randomBytes(12).toString('hex'));
  const [data, passwordFile, logFile] = ['data', 'initial-password', 'postgres.log'].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  await writeFile(passwordFile, password.reveal(), { mode: 0o600 });
  if (user !== undefined) await chown(passwordFile, user.uid, user.gid);
  const encoding = ['--encoding=UTF8', '--locale=C'];
  await runCommand(
    endingWithUs(
      [
        initdb!,
        '--pgdata',
        data,
        '--username',
        SUPERUSER,
        ...encoding,
        '--auth=scram-sha-256',
        `--pwfile=${passwordFile}`,
        '--no-sync',
      ],
      user?.name,
    ),
    {
      cwd: directory,
      check: true,
    },
  );
  await rm(passwordFile);

  const port = options.port ?? (await freePorts(1))[0]!;
  const settings = [`port=${port}`, ...SETTINGS, ...(options.settings ?? [])].flatMap((setting) => [
    '-c',
    setting,
  ]);
  const service = await startService(endingWithUs([server!, '-D', data, ...settings], user?.name), {
    cwd: directory,
    logFile,
  });
  let ended = false;
  void service.ended.then(() => (ended = true));
  const stop = async () => {
    // SIGINT is PostgreSQL's fast shutdown; its SIGTERM waits until all clients have gone (its manual, "Shutting Down the Server").
    if (!ended) process.kill(service.pid, 'SIGINT');
    await service.ended;
  };
  const target: PostgresTarget = { host: '127.0.0.1', port, user: SUPERUSER, password, database: 'postgres' };
  try {
    await waitUntilReady(target, () => ended, logFile);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    target,
    stop,
    createDatabase: (name, owner) => createOwned(target, name, owner),
    dropDatabase: (name) => drop(target, name),
  };
}

async function createOwned(admin: PostgresTarget, name: string, owner: string): Promise<PostgresTarget> {
  const password = new Secret(randomBytes(12).toString('hex'));
  await using session = await connect(admin, { applicationName: 'lifeboat:lab' });
  // Hexadecimal, so there is nothing to escape.
  await session.query(`CREATE ROLE "${owner}" LOGIN PASSWORD '${password.reveal()}'`);
  await createDatabase(admin, name, owner);
  return { ...admin, user: owner, password, database: name };
}

async function drop(admin: PostgresTarget, name: string): Promise<void> {
  await using session = await connect(admin, { applicationName: 'lifeboat:lab' });
  await session.query(`DROP DATABASE "${name}" WITH (FORCE)`);
}

/** PostgreSQL refuses to run as root: Debian's package brings the user `postgres`, and `nobody` is everywhere. */
async function unprivilegedUser(): Promise<{ name: string; uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const passwd = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const entry = passwd.find(([name]) => name === 'postgres') ?? passwd.find(([name]) => name === 'nobody');
  if (entry === undefined)
    throw new LifeboatError(
      'start-failed',
      'PostgreSQL refuses to run as root, and there is no user postgres or nobody',
    );
  return { name: entry[0]!, uid: Number(entry[2]), gid: Number(entry[3]) };
}

async function waitUntilReady(
  target: PostgresTarget,
  hasEnded: () => boolean,
  logFile: string,
): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    try {
      await (await connect(target, { applicationName: 'lifeboat:lab' })).close();
      return;
    } catch (error) {
      if (hasEnded() || performance.now() > deadline)
        throw new LifeboatError(
          'start-failed',
          `the lab's PostgreSQL did not start; ${await logEnd(logFile)}`,
          { cause: error },
        );
    }
    await sleep(50);
  }
}
