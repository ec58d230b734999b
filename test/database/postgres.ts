import { mkdtemp, rm, chown } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../../src/core/secret.ts';
import { runCommand } from '../../src/exec/index.ts';
import type { PostgresTarget } from '../../src/database/port.ts';

const BIN = '/usr/lib/postgresql/15/bin';
const PASSWORD = 'correct:horse\\battery';

export interface TestServer {
  /** A superuser's way in, by TCP with a password that needs escaping in a passfile. */
  readonly admin: PostgresTarget;
  /** A fresh directory that tests may fill. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** A throw-away PostgreSQL 15 with password authentication. initdb refuses root, so there it runs as `postgres`. */
export async function startTestServer(): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-test-pg-'));
  const owner: { uid?: number; gid?: number } = process.getuid?.() === 0 ? await idsOf('postgres') : {};
  if (owner.uid !== undefined && owner.gid !== undefined) await chown(directory, owner.uid, owner.gid);
  const data = join(directory, 'data');
  const passwordFile = join(directory, 'initial-password');
  const port = await freePort();
  const run = (argv: string[]) => runCommand(argv, { ...owner, cwd: directory, check: true });
  await run(['/bin/sh', '-c', `umask 077; printf '%s' '${PASSWORD}' > ${passwordFile}`]);
  await run([
    `${BIN}/initdb`,
    '--pgdata',
    data,
    '--username=admin',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
  ]);
  const options = `-c listen_addresses=127.0.0.1 -c unix_socket_directories=${directory} -p ${port} -c fsync=off`;
  await run([
    `${BIN}/pg_ctl`,
    '--pgdata',
    data,
    '--wait',
    '--log',
    join(directory, 'log'),
    '--options',
    options,
    'start',
  ]);
  return {
    admin: { host: '127.0.0.1', port, user: 'admin', password: new Secret(PASSWORD), database: 'postgres' },
    directory,
    stop: async () => {
      await run([`${BIN}/pg_ctl`, '--pgdata', data, '--mode=immediate', 'stop']);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function idsOf(user: string): Promise<{ uid: number; gid: number }> {
  const id = async (flag: string) => Number((await runCommand(['id', flag, user], { check: true })).stdout);
  return { uid: await id('-u'), gid: await id('-g') };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      );
    });
  });
}
