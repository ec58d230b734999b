/**
 * A command of the far side as a command of this machine: `ssh ... HOST 'docker exec -i NAME sh -c ...'`. Pure.
 * Syntax: docs.docker.com/reference/cli/docker/container/exec, podman-exec(1), kubernetes.io/docs/reference/kubectl, ssh(1).
 */
import type { ContainerHop, DatabaseWay, SshHop } from '../../config/index.ts';
import { LifeboatError } from '../../core/errors.ts';
import { fromOurEnvironment, leavesHostUnchecked, sshEnvironment, sshSettings } from '../../exec/index.ts';

export const CONNECT_TIMEOUT_MS = 15_000;

/** Standard input and output are those of the far command. Errors: `usage`. */
export function farCommand({ ssh, container }: DatabaseWay, argv: readonly string[]): string[] {
  const inside = container === undefined ? argv : [...enter(container), ...argv];
  // What ssh is given it hands to the account's shell as one text.
  return ssh === undefined
    ? [...inside]
    : [...reach(ssh), '--', ssh.destination, inside.map(quoted).join(' ')];
}

/**
 * ssh connects its own standard input and output with a port that is reached from the far machine: it takes nothing there, not
 * even a shell, and an account may be allowed no more (`restrict,port-forwarding` in authorized_keys). Errors: `usage`.
 */
export function portCommand(ssh: SshHop, host: string, port: number): string[] {
  const address = host.includes(':') ? `[${host}]` : host;
  // Why a port cannot be had is no error to ssh, only information; the first value counts.
  return [...reach(ssh, ['LogLevel=INFO']), '-W', `${address}:${port}`, '--', ssh.destination];
}

function enter(hop: ContainerHop): string[] {
  if (hop.tool !== 'kubectl') {
    const user = hop.user === undefined ? [] : ['--user', hop.user];
    return [hop.tool, 'exec', '--interactive', ...user, hop.container];
  }
  const flags = (['kubeconfig', 'context', 'namespace', 'container'] as const).flatMap((name) =>
    hop[name] === undefined ? [] : [`--${name}=${hop[name]}`],
  );
  return ['kubectl', 'exec', '--stdin', ...flags, hop.pod, '--'];
}

function reach(ssh: SshHop, first: readonly string[] = []): string[] {
  if (leavesHostUnchecked(ssh.options))
    throw new LifeboatError('usage', 'StrictHostKeyChecking cannot be switched off for a database', {
      hint: 'Put the host key into known_hosts, or use StrictHostKeyChecking=accept-new.',
    });
  const settings = sshSettings({
    identityFile: ssh.identityFile,
    knownHostsFile: ssh.knownHostsFile,
    sshOptions: [...ssh.options, ...first],
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
  return ['ssh', ...settings.map((setting) => `-o${setting}`), '-T'];
}

/** For a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Where the tools find their engine, cluster or agent: they are the user's own, and he may have set these. */
const OF_TOOLS = [
  'DOCKER_HOST',
  'DOCKER_CONTEXT',
  'DOCKER_CONFIG',
  'DOCKER_CERT_PATH',
  'DOCKER_TLS_VERIFY',
  'CONTAINER_HOST',
  'KUBECONFIG',
];

export function wayEnvironment(): Record<string, string> {
  return { ...sshEnvironment(), ...fromOurEnvironment(OF_TOOLS) };
}

/** `docker container synapse-db on backup@db.example.org` */
export function describeWay({ ssh, container }: DatabaseWay): string {
  const what =
    container === undefined
      ? undefined
      : container.tool === 'kubectl'
        ? `kubectl pod ${container.pod}`
        : `${container.tool} container ${container.container}`;
  return [what, ssh === undefined ? undefined : `${what === undefined ? 'ssh' : 'on'} ${ssh.destination}`]
    .filter((part) => part !== undefined)
    .join(' ');
}
