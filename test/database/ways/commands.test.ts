import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { DatabaseWay } from '../../../src/config/index.ts';
import { parseClients } from '../../../src/database/postgres/dump-client.ts';
import { describeWay, farCommand } from '../../../src/database/ways/commands.ts';
import { environmentLines } from '../../../src/database/ways/far-scripts.ts';
import { relayCommand } from '../../../src/database/ways/relay.ts';
import { wayError } from '../../../src/database/ways/way-error.ts';

const auto = { client: 'auto' } as const;
const docker: DatabaseWay = { ...auto, container: { tool: 'docker', container: 'synapse-db' } };
const ssh: DatabaseWay = { ...auto, ssh: { destination: 'me@far', options: [], identityFile: '/etc/100%' } };
/** As bash would be asked to read it. */
const words = (line: string): string[] =>
  execFileSync('sh', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);

describe('the command of a way', () => {
  it('enters a container of docker, of podman, and of a pod', () => {
    expect(farCommand(docker, ['sh'])).toEqual(['docker', 'exec', '--interactive', 'synapse-db', 'sh']);
    const podman: DatabaseWay = {
      ...auto,
      container: { tool: 'podman', container: 'db', user: 'postgres' },
    };
    expect(farCommand(podman, ['sh'])).toEqual([
      'podman',
      'exec',
      '--interactive',
      '--user',
      'postgres',
      'db',
      'sh',
    ]);
    const pod: DatabaseWay = {
      ...auto,
      container: { tool: 'kubectl', pod: 'db-0', namespace: 'matrix', container: 'postgres', context: 'c' },
    };
    expect(farCommand(pod, ['sh', '-c', 'true'])).toEqual([
      'kubectl',
      'exec',
      '--stdin',
      '--context=c',
      '--namespace=matrix',
      '--container=postgres',
      'db-0',
      '--',
      'sh',
      '-c',
      'true',
    ]);
  });

  it('reaches the far shell through ssh word by word, whatever is in the words', () => {
    const hard = [`it's`, '$HOME `id` "x"', '', 'a b', '*', '-n'];
    const argv = farCommand(ssh, ['printf', ...hard]);
    expect(argv.slice(0, 1)).toEqual(['ssh']);
    expect(argv.slice(-3, -1)).toEqual(['--', 'me@far']);
    expect(words(argv.at(-1)!)).toEqual(['printf', ...hard]);
    expect(words(farCommand({ ...ssh, ...docker, ssh: ssh.ssh }, ['sh', '-c', 'a b']).at(-1)!)).toEqual([
      'docker',
      'exec',
      '--interactive',
      'synapse-db',
      'sh',
      '-c',
      'a b',
    ]);
  });

  it('asks for nothing and checks the host key', () => {
    const argv = farCommand(ssh, ['true']);
    for (const option of [
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      'ForwardAgent=no',
      'IdentityFile="/etc/100%%"',
    ])
      expect(argv).toContain(`-o${option}`);
    const unchecked = { ...ssh, ssh: { destination: 'far', options: ['StrictHostKeyChecking no'] } };
    expect(() => farCommand(unchecked, ['true'])).toThrow('cannot be switched off');
  });

  it('needs no shell for a port behind ssh, and one for a socket there and in a container', () => {
    const tail = (way: DatabaseWay, host: string) => relayCommand(way, { host, port: 5433 }).slice(-4);
    expect(tail(ssh, 'localhost')).toEqual(['-W', 'localhost:5433', '--', 'me@far']);
    expect(tail(ssh, '::1')).toContain('[::1]:5433');
    expect(tail(ssh, '/run/pg').at(-1)).toMatch(/ lifeboat-relay \/run\/pg 5433$/);
    expect(tail(docker, 'localhost').slice(1)).toEqual(['lifeboat-relay', 'localhost', '5433']);
  });

  it('has a short name for people', () => {
    expect(describeWay(docker)).toBe('docker container synapse-db');
    expect(describeWay(ssh)).toBe('ssh me@far');
    expect(describeWay({ ...docker, ssh: ssh.ssh })).toBe('docker container synapse-db on me@far');
  });
});

it('the newest program of the far side comes first, and what is none is left out', () => {
  const text =
    '/usr/bin/pg_dump\tpg_dump (PostgreSQL) 15.9 (Debian 15.9-1)\n/x/pg_dump\tsh: no\n/usr/lib/postgresql/15/bin/pg_dump\tpg_dump (PostgreSQL) 15.18\n';
  expect(parseClients(text)).toEqual([
    { path: '/usr/lib/postgresql/15/bin/pg_dump', version: '15.18' },
    { path: '/usr/bin/pg_dump', version: '15.9' },
  ]);
});

it('an environment goes over standard input line by line, and no value can begin another', () => {
  expect(environmentLines({ PGUSER: 'a b', PGPASSWORD: `x'$y` })).toBe(`PGUSER=a b\nPGPASSWORD=x'$y\n\n`);
  expect(() => environmentLines({ PGPASSWORD: 'x\nPATH=/tmp' })).toThrow('line break');
});

describe('what a way says when it does not lead there', () => {
  it.each([
    ['Error: No such container: synapse-db', 'database-unreachable', /docker ps/],
    ['Error response from daemon: Container 0123 is not running', 'database-unreachable', /Start it/],
    [
      'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock',
      'database-denied',
      /group docker/,
    ],
    [
      'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?',
      'database-unreachable',
      /DOCKER_HOST/,
    ],
    [
      'Error: no container with name or ID "db" found: no such container',
      'database-unreachable',
      /podman ps/,
    ],
    ['Error from server (NotFound): pods "db-0" not found', 'database-unreachable', /kubectl get pods/],
    [
      'Error from server (Forbidden): pods "db-0" is forbidden: User "x" cannot create resource "pods/exec"',
      'database-denied',
      /pods\/exec/,
    ],
    ['error: context "x" does not exist', 'database-unreachable', /kubeconfig/],
    ['Host key verification failed.', 'database-denied', /fingerprint/],
    ['me@far: Permission denied (publickey).', 'database-denied', /authorized_keys/],
    ['channel 0: open failed: administratively prohibited: open failed', 'database-denied', /permitopen/],
    ['exec: "sh": executable file not found in $PATH: unknown', 'database-unreachable', /Publish the port/],
    ['something new', 'database-unreachable', /database.host/],
  ])('%s', (said, code, hint) => {
    const error = wayError(docker, `${said}\n`);
    expect(error).toMatchObject({ code, message: expect.stringContaining('docker container synapse-db') });
    expect(error.message).toContain(said);
    expect(error.hints.join(' ')).toMatch(hint);
  });
});
