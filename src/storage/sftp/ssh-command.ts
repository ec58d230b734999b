import { LifeboatError } from '../../core/errors.ts';

/** Where an SFTP store lies, and how the system's ssh gets there. Plain data. */
export interface SftpStoreOptions {
  /** A name or address, or a `Host` of the user's ssh configuration. */
  readonly host: string;
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  /** Absolute, or relative to where the server lets the user in; `~/` means the same. */
  readonly path: string;
  readonly identityFile?: string | undefined;
  readonly knownHostsFile?: string | undefined;
  /** Default: `ssh` on the PATH. */
  readonly sshProgram?: string | undefined;
  /** What `-o` takes, such as `ProxyJump=gate`. */
  readonly sshOptions?: readonly string[] | undefined;
  /** Until the server speaks SFTP, in ms. Default: 30 s. */
  readonly connectTimeoutMs?: number | undefined;
}

export const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;

/** Turning the check of host keys off would hand the repository to whoever sits between. */
const UNCHECKED = /^\s*stricthostkeychecking(?:\s*=\s*|\s+)"?(?:no|off)\b/i;

/** The command line that begins to speak SFTP. Errors: `usage`. */
export function sshCommand(options: SftpStoreOptions): string[] {
  return [...sshLogin(options), '-s', '--', options.host, 'sftp'];
}

/**
 * ssh and its flags, without the host; ssh takes the first value of an option, so those of the user come before ours.
 * Errors: `usage`.
 */
export function sshLogin(options: Omit<SftpStoreOptions, 'path'>): string[] {
  const { host, user, port, identityFile, knownHostsFile, sshOptions = [] } = options;
  if (host === '' || host.startsWith('-'))
    throw new LifeboatError('usage', `${JSON.stringify(host)} is not the name of an SSH host`);
  if (sshOptions.some((option) => UNCHECKED.test(option)))
    throw new LifeboatError('usage', 'StrictHostKeyChecking cannot be switched off', {
      hint: 'Put the host key into known_hosts, or use StrictHostKeyChecking=accept-new.',
    });
  const seconds = Math.max(1, Math.ceil((options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS) / 1000));
  const settings = [
    'BatchMode=yes',
    ...sshOptions,
    ...(identityFile === undefined ? [] : [`IdentityFile=${quoted(identityFile)}`, 'IdentitiesOnly=yes']),
    ...(knownHostsFile === undefined ? [] : [`UserKnownHostsFile=${quoted(knownHostsFile)}`]),
    'StrictHostKeyChecking=yes',
    `ConnectTimeout=${seconds}`,
    // A line that is dead is noticed after three of these.
    'ServerAliveInterval=15',
    'ServerAliveCountMax=3',
    // What a configuration for logging in may ask for and a subsystem must not have (as sftp(1) does it).
    'ForwardAgent=no',
    'ForwardX11=no',
    'ClearAllForwardings=yes',
    'PermitLocalCommand=no',
    'RemoteCommand=none',
    'RequestTTY=no',
    // Errors are read from there.
    'LogLevel=ERROR',
  ];
  return [
    options.sshProgram ?? 'ssh',
    ...settings.map((setting) => `-o${setting}`),
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
  ];
}

/** A path for ssh_config(5): in quotes, and without its % tokens. */
function quoted(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}

/** As `parseLocation` reads it. */
export function locationOf({ host, user, port, path }: SftpStoreOptions): string {
  const name = host.includes(':') ? `[${host}]` : host;
  const account = user === undefined ? name : `${user}@${name}`;
  return port === undefined ? `sftp:${account}:${path}` : `sftp://${account}:${port}/${path}`;
}
