import { execFile, execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Secret } from '../../src/core/secret.ts';
import type { PostgresTarget } from '../../src/database/port.ts';

/** scripts/setup/docker.mjs builds it. */
const POSTGRES_IMAGE = 'lifeboat-test/postgres:15';
/** Names the process that a container belongs to: what killed tests left is removed by the next ones. */
const LABEL = 'matrix-lifeboat.test';
export const CONTAINER_PASSWORD = "not:to be'seen";

const run = promisify(execFile);
export const docker = async (...args: string[]): Promise<string> =>
  (await run('docker', args, { encoding: 'utf8' })).stdout;

/** A real PostgreSQL 15 in a real container. */
export interface PostgresContainer extends AsyncDisposable {
  readonly name: string;
  readonly user: string;
  /** Of its first process, on this machine. */
  readonly pid: number;
  /** Only where a port was asked for. */
  readonly published: PostgresTarget;
  /** By psql in the container, as the superuser. */
  sql(text: string, database?: string): Promise<string>;
  /** Command lines of everything in it but PostgreSQL's own processes. */
  commands(): Promise<string[]>;
  /** Of its log: processes of PostgreSQL that a signal ended, or orphans that it took for such; it restarts after each. */
  crashes(): Promise<string[]>;
}

export interface ContainerOptions {
  readonly name: string;
  /** Further arguments of `docker run`. */
  readonly args?: readonly string[];
  /** On loopback. */
  readonly publishedPort?: number;
}

export async function startPostgresContainer(options: ContainerOptions): Promise<PostgresContainer> {
  await sweep();
  const name = `lifeboat-test-${options.name}-${process.pid}`;
  const { publishedPort: port } = options;
  await docker(
    ...['run', '--detach', '--name', name, '--label', `${LABEL}=${process.pid}`],
    ...['--env', 'POSTGRES_USER=synapse', '--env', `POSTGRES_PASSWORD=${CONTAINER_PASSWORD}`],
    ...['--env', 'POSTGRES_INITDB_ARGS=--encoding=UTF8 --locale=C --no-sync'],
    ...(port === undefined ? ['--network', 'none'] : ['--publish', `127.0.0.1:${port}:5432`]),
    ...(options.args ?? []),
    ...[POSTGRES_IMAGE, 'postgres', '-c', 'fsync=off'],
  );
  const remove = async (): Promise<void> => void (await docker('rm', '--force', '--volumes', name));
  const sql = (text: string, database = 'synapse') =>
    docker(
      'exec',
      name,
      'psql',
      '-AtX',
      '-v',
      'ON_ERROR_STOP=1',
      '-U',
      'synapse',
      '-d',
      database,
      '-c',
      text,
    );
  try {
    await untilReady(name);
  } catch (error) {
    await remove();
    throw error;
  }
  const user = 'synapse';
  return {
    name,
    user,
    sql,
    pid: Number(await docker('inspect', '--format', '{{.State.Pid}}', name)),
    published: {
      host: '127.0.0.1',
      port: port ?? 0,
      user,
      password: new Secret(CONTAINER_PASSWORD),
      database: user,
    },
    commands: async () =>
      (await docker('top', name, '-eo', 'pid,args'))
        .split('\n')
        .slice(1)
        .map((line) => line.trim().replace(/^\d+ +/, ''))
        .filter((line) => line !== '' && !/^(?:postgres:|postgres -c)/.test(line)),
    crashes: async () =>
      (await run('docker', ['logs', name])).stderr
        .split('\n')
        .filter((line) => line.includes('was terminated by signal')),
    [Symbol.asyncDispose]: remove,
  };
}

/** The server of the first start, which only makes the database, does not listen on TCP. */
async function untilReady(name: string): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    const ready = await docker('exec', name, 'pg_isready', '-q', '-h', '127.0.0.1').then(
      () => true,
      () => false,
    );
    if (ready) return;
    await sleep(100);
  }
  throw new Error(`${name} did not become ready: ${await docker('logs', '--tail', '20', name)}`);
}

async function sweep(): Promise<void> {
  const format = `{{.ID}} {{.Label "${LABEL}"}}`;
  const lines = (await docker('ps', '--all', '--filter', `label=${LABEL}`, '--format', format)).split('\n');
  for (const line of lines) {
    const [id, pid] = line.split(' ');
    if (id === undefined || id === '' || isAlive(Number(pid))) continue;
    await docker('rm', '--force', '--volumes', id).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/**
 * Programs `podman` and `kubectl` that take exactly the syntax of podman-exec(1) and of `kubectl exec` (kubernetes.io/docs/reference/kubectl)
 * that lifeboat uses, and hand over to docker. The real ones cannot be had here: podman 4.3 does not run in our containers, and there
 * is no cluster.
 */
export async function standIns(directory: string, container: string): Promise<string> {
  const docker = execFileSync('sh', ['-c', 'command -v docker'], { encoding: 'utf8' }).trim();
  await mkdir(directory, { recursive: true });
  const write = (name: string, lines: readonly string[]) =>
    writeFile(join(directory, name), `#!/bin/bash\n${lines.join('\n')}\n`, { mode: 0o755 });
  await write('podman', [
    `[[ "$1 $2 $3 $4 $5" == 'exec --interactive --user postgres the-database' && $# -gt 5 ]] || { echo "Error: unknown call: $*" >&2; exit 125; }`,
    `shift 5; exec ${docker} exec --interactive ${container} "$@"`,
  ]);
  await write('kubectl', [
    `[[ "$1 $2" == 'exec --stdin' ]] || { echo "error: unknown command: $*" >&2; exit 1; }; shift 2`,
    `for flag in --kubeconfig=/etc/kube --context=blue --namespace=matrix --container=postgres synapse-db-0 --; do`,
    `[[ "$1" == "$flag" ]] || { echo "error: expected $flag, not $1" >&2; exit 1; }; shift; done`,
    `echo 'Defaulted container' >&2`,
    `exec ${docker} exec --interactive ${container} "$@"`,
  ]);
  return directory;
}
