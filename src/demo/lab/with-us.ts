/**
 * Puts setpriv (util-linux) before a command: the kernel then ends it when the process that started it is gone, even after
 * kill -9. As root the command runs as `user` instead.
 */
export function endingWithUs(argv: readonly string[], user?: string): string[] {
  const identity = user === undefined ? [] : [`--reuid=${user}`, `--regid=${user}`, '--init-groups'];
  return ['setpriv', ...identity, '--pdeathsig=INT', '--', ...argv];
}
