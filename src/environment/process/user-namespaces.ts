import { readFile } from 'node:fs/promises';

interface Switch {
  readonly file: string;
  readonly forbids: string;
  readonly hint: string;
}

/** Switches by which a system forbids ordinary users a namespace (user_namespaces(7); Debian's and Ubuntu's own). */
const SWITCHES: readonly Switch[] = [
  {
    file: '/proc/sys/user/max_user_namespaces',
    forbids: '0',
    hint: 'Allow user namespaces: sysctl -w user.max_user_namespaces=15000, or run the drill as root.',
  },
  {
    file: '/proc/sys/kernel/unprivileged_userns_clone',
    forbids: '0',
    hint: 'Allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1, or run the drill as root.',
  },
  {
    file: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    forbids: '1',
    hint: 'Allow user namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give bwrap an AppArmor profile that allows userns, or run the drill as root.',
  },
];

/** What keeps this user from making a sandbox, as hints; none when nothing forbids it. */
export async function namespaceHints(
  isRoot: boolean,
  read = (file: string) => readFile(file, 'utf8'),
): Promise<string[]> {
  if (isRoot) return ['In a container, give it CAP_SYS_ADMIN, or run the drill as an ordinary user.'];
  const hints: string[] = [];
  for (const { file, forbids, hint } of SWITCHES) {
    const value = await read(file).catch(() => '');
    if (value.trim() === forbids) hints.push(hint);
  }
  return hints;
}
