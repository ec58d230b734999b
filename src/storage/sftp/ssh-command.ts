import { LifeboatError } from '../../core/errors.ts';
import { leavesHostUnchecked, sshSettings } from '../../exec/index.ts';

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

/** The command line that begins to speak SFTP. Errors: `usage`. */
export function sshCommand(options: SftpStoreOptions): string[] {
  return [...sshLogin(options), '-s', '--', options.host, 'sftp'];
}

/**
 * ssh and its flags, without the host; ssh takes the first value of an option, so those of the user come before ours.
 * Errors: `usage`.
 */
export function sshLogin(options: Omit<SftpStoreOptions, 'path'>): string[] {
  const { host, user, port, sshOptions = [] } = options;
  if (host === '' || host.startsWith('-'))
    throw new LifeboatError('usage', `${JSON.stringify(host)} is not the name of an SSH host`);
  if (leavesHostUnchecked(sshOptions))
    throw new LifeboatError('usage', 'StrictHostKeyChecking cannot be switched off', {
      hint: 'Put the host key into known_hosts, or use StrictHostKeyChecking=accept-new.',
    });
  const settings = sshSettings({
    ...options,
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
  });
  return [
    options.sshProgram ?? 'ssh',
    ...settings.map((setting) => `-o${setting}`),
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
  ];
}

/** As `parseLocation` reads it. */
export function locationOf({ host, user, port, path }: SftpStoreOptions): string {
  const name = host.includes(':') ? `[${host}]` : host;
  const account = user === undefined ? name : `${user}@${name}`;
  return port === undefined ? `sftp:${account}:${path}` : `sftp://${account}:${port}/${path}`;
}
