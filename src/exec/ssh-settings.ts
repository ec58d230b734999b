/** How the system's ssh gets to a machine, as every user of it here has it. */
export interface SshSettings {
  readonly identityFile?: string | undefined;
  readonly knownHostsFile?: string | undefined;
  /** What `-o` takes, such as `ProxyJump=gate`. */
  readonly sshOptions?: readonly string[] | undefined;
  /** Until the other side answers, in ms. */
  readonly connectTimeoutMs: number;
}

/** Turning the check of host keys off would hand everything to whoever sits between. */
const UNCHECKED = /^\s*stricthostkeychecking(?:\s*=\s*|\s+)"?(?:no|off)\b/i;

export function leavesHostUnchecked(sshOptions: readonly string[]): boolean {
  return sshOptions.some((option) => UNCHECKED.test(option));
}

/**
 * For `-o`, one each; ssh takes the first value of an option, so those of the user come before ours. Nothing is asked for: not a
 * password, not the agent, nothing that the user's configuration wants for logging in. Pure.
 */
export function sshSettings(options: SshSettings): string[] {
  const { identityFile, knownHostsFile, sshOptions = [], connectTimeoutMs } = options;
  return [
    'BatchMode=yes',
    ...sshOptions,
    ...(identityFile === undefined ? [] : [`IdentityFile=${quoted(identityFile)}`, 'IdentitiesOnly=yes']),
    ...(knownHostsFile === undefined ? [] : [`UserKnownHostsFile=${quoted(knownHostsFile)}`]),
    'StrictHostKeyChecking=yes',
    `ConnectTimeout=${Math.max(1, Math.ceil(connectTimeoutMs / 1000))}`,
    // A line that is dead is noticed after three of these.
    'ServerAliveInterval=15',
    'ServerAliveCountMax=3',
    // What a configuration for logging in may ask for and we must not have (as sftp(1) does it).
    'ForwardAgent=no',
    'ForwardX11=no',
    'ClearAllForwardings=yes',
    'PermitLocalCommand=no',
    'RemoteCommand=none',
    'RequestTTY=no',
    // Errors are read from there.
    'LogLevel=ERROR',
  ];
}

/** A path for ssh_config(5): in quotes, and without its % tokens. */
function quoted(path: string): string {
  return `"${path.replaceAll('%', '%%')}"`;
}

/** Of our environment, what ssh needs beside the minimum. */
const NEEDED = ['SSH_AUTH_SOCK', 'KRB5CCNAME', 'XDG_RUNTIME_DIR'] as const;

/** Those of these variables that are set, for a child's environment. */
export function fromOurEnvironment(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}

export function sshEnvironment(): Record<string, string> {
  return fromOurEnvironment(NEEDED);
}
