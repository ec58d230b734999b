import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Secret } from '../../src/core/secret.ts';
import { signingKeyFromSeed } from '../../src/core/ed25519.ts';
import type { PostgresTarget } from '../../src/database/port.ts';
import type { PublicSigningKey } from '../../src/repository/manifest.ts';
import { decodeBase64, encodeBase64 } from '../../src/verify/events/base64.ts';

const run = promisify(execFile);
const POSTGRES = '/usr/lib/postgresql/15/bin';
export const SYNAPSE_VENV = '/var/cache/matrix-lifeboat/synapse-1.163.2';
/** What is started here ends with the test, even if that is killed. INT: a fast shutdown of PostgreSQL, a clean one of Synapse. */
const DYING_WITH_US = ['setpriv', '--pdeathsig', 'INT'];
/** PostgreSQL refuses to run as root; as anybody else it runs as that user. */
const AS_POSTGRES =
  process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : [];

/** A Synapse with its PostgreSQL on loopback, for tests of the probe. */
export interface RealSynapse extends AsyncDisposable {
  readonly serverName: string;
  readonly federationPort: number;
  readonly clientPort: number;
  readonly publicKeys: readonly PublicSigningKey[];
  readonly certificate: { readonly certificatePem: string; readonly keyPem: string };
  readonly caPem: string;
  readonly registrationSecret: Secret;
  readonly database: PostgresTarget;
  readonly mediaStore: string;
}

export async function startSynapse(): Promise<RealSynapse> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-probe-'));
  await chmod(directory, 0o755);
  const [databasePort, federationPort, clientPort] = await freePorts(3);
  const children: ChildProcess[] = [];
  const dispose = async () => {
    for (const child of children.toReversed()) await end(child);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    children.push(await startPostgres(join(directory, 'postgres'), databasePort!));
    await makeCertificates(directory);
    await run(`${SYNAPSE_VENV}/bin/generate_signing_key`, ['-o', join(directory, 'signing.key')]);
    await writeFile(
      join(directory, 'homeserver.yaml'),
      configuration(directory, databasePort!, federationPort!, clientPort!),
    );
    const python = `${SYNAPSE_VENV}/bin/python`;
    const synapse = spawn(
      DYING_WITH_US[0]!,
      [...DYING_WITH_US.slice(1), python, '-m', 'synapse.app.homeserver', '-c', 'homeserver.yaml'],
      {
        cwd: directory,
        stdio: 'ignore',
      },
    );
    children.push(synapse);
    await untilReachable(`http://127.0.0.1:${clientPort}/_matrix/client/versions`, synapse);
  } catch (error) {
    await dispose();
    throw error;
  }
  const read = async (name: string) => await readFile(join(directory, name), 'utf8');
  return {
    serverName: `localhost:${federationPort}`,
    federationPort: federationPort!,
    clientPort: clientPort!,
    publicKeys: [publicHalf(await read('signing.key'))],
    certificate: { certificatePem: await read('localhost.pem'), keyPem: await read('localhost.key') },
    caPem: await read('ca.pem'),
    registrationSecret: new Secret('a registration secret of the test'),
    database: { host: '127.0.0.1', port: databasePort!, user: 'postgres', database: 'synapse' },
    mediaStore: join(directory, 'media_store'),
    [Symbol.asyncDispose]: dispose,
  };
}

export async function tcp(port: number): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Listens as an environment would; `close` ends it. */
export function listener(): {
  listen: (port: number, onConnection: (socket: Socket) => void) => Promise<void>;
  close: () => void;
} {
  const servers: Server[] = [];
  return {
    listen: async (port, onConnection) => {
      const server = createServer(onConnection);
      servers.push(server);
      await new Promise<void>((resolve, reject) =>
        server.once('error', reject).listen(port, '127.0.0.1', resolve),
      );
    },
    close: () => servers.forEach((server) => server.close()),
  };
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map(async (server) => await new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function startPostgres(directory: string, port: number): Promise<ChildProcess> {
  await mkdir(directory);
  if (AS_POSTGRES.length > 0) {
    const { stdout } = await run('id', ['-u', 'postgres']);
    await chown(directory, Number(stdout), Number(stdout));
  }
  const asPostgres = (...argv: string[]) => [...AS_POSTGRES, ...argv] as [string, ...string[]];
  const [initdb, ...initdbArgv] = asPostgres(
    `${POSTGRES}/initdb`,
    '-D',
    directory,
    '-U',
    'postgres',
    '-E',
    'UTF8',
    '--locale=C',
    '--auth=trust',
    '--no-sync',
  );
  await run(initdb, initdbArgv, { cwd: directory });
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'fsync=off',
  ].flatMap((setting) => ['-c', setting]);
  const [setpriv, ...argv] = [
    ...DYING_WITH_US,
    ...AS_POSTGRES.slice(1),
    `${POSTGRES}/postgres`,
    '-D',
    directory,
    ...settings,
  ];
  const child = spawn(setpriv!, argv, { cwd: directory, stdio: 'ignore' });
  const connection = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres'];
  await eventually('PostgreSQL', child, async () => await run(`${POSTGRES}/pg_isready`, connection));
  await run(`${POSTGRES}/createdb`, [
    ...connection,
    '--encoding=UTF8',
    '--locale=C',
    '--template=template0',
    'synapse',
  ]);
  return child;
}

async function makeCertificates(directory: string): Promise<void> {
  const openssl = async (...argv: string[]) => await run('openssl', argv, { cwd: directory });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=test CA',
  );
  await openssl(
    'req',
    ...newKey,
    '-keyout',
    'localhost.key',
    '-out',
    'localhost.csr',
    '-subj',
    '/CN=localhost',
  );
  await writeFile(join(directory, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names'];
  await openssl('x509', '-req', '-in', 'localhost.csr', '-out', 'localhost.pem', ...signed);
}

const UNLIMITED = '{per_second: 10000, burst_count: 10000}';

function configuration(
  directory: string,
  databasePort: number,
  federationPort: number,
  clientPort: number,
): string {
  const listeners = (port: number, tls: boolean, name: string) =>
    `  - {port: ${port}, bind_addresses: ["127.0.0.1"], type: http, tls: ${tls}, resources: [{names: [${name}], compress: false}]}`;
  return [
    `server_name: "localhost:${federationPort}"`,
    `public_baseurl: "http://127.0.0.1:${clientPort}/"`,
    `pid_file: ${directory}/homeserver.pid`,
    'report_stats: false',
    'suppress_key_server_warning: true',
    'listeners:',
    listeners(clientPort, false, 'client, media'),
    listeners(federationPort, true, 'federation'),
    `tls_certificate_path: ${directory}/localhost.pem`,
    `tls_private_key_path: ${directory}/localhost.key`,
    `federation_custom_ca_list: [${directory}/ca.pem]`,
    'trusted_key_servers: []',
    'ip_range_blacklist: []',
    `database: {name: psycopg2, args: {user: postgres, dbname: synapse, host: 127.0.0.1, port: ${databasePort}, cp_min: 1, cp_max: 5}}`,
    `media_store_path: ${directory}/media_store`,
    `signing_key_path: ${directory}/signing.key`,
    'registration_shared_secret: "a registration secret of the test"',
    'macaroon_secret_key: "a macaroon secret of the test"',
    'form_secret: "a form secret of the test"',
    'allow_public_rooms_over_federation: true',
    `rc_message: ${UNLIMITED}`,
    `rc_room_creation: ${UNLIMITED}`,
    'bcrypt_rounds: 4',
  ].join('\n');
}

function publicHalf(keyFile: string): PublicSigningKey {
  const [algorithm, version, seed] = keyFile.trim().split(' ');
  return {
    keyId: `${algorithm}:${version}`,
    publicKey: encodeBase64(signingKeyFromSeed(decodeBase64(seed!)!).publicKey),
  };
}

async function untilReachable(url: string, child: ChildProcess): Promise<void> {
  await eventually(url, child, async () => {
    if (!(await fetch(url)).ok) throw new Error(url);
  });
}

async function eventually(what: string, child: ChildProcess, attempt: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (child.exitCode !== null) throw new Error(`${what} ended with ${child.exitCode}`);
    try {
      await attempt();
      return;
    } catch {
      await sleep(100);
    }
  }
  throw new Error(`${what} did not start within a minute`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  await ended;
}
