import { lstat, realpath } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { LifeboatError } from '../../core/errors.ts';
import { runCommand } from '../../exec/index.ts';
import type { SandboxUser } from './user.ts';

/**
 * Gives `path`, below `directory`, to the user inside. What runs inside may change the tree meanwhile: chown(1) walks it by
 * directory handles and follows no link, so that no exchanged link makes root give away a file of the machine.
 * Errors: `internal` for a path elsewhere, `not-sealed` when a link leads elsewhere, `command-failed`.
 */
export async function handOver(path: string, directory: string, user: SandboxUser): Promise<void> {
  if (!isWithin(path, directory))
    throw new LifeboatError('internal', `${path} is not in the drill's directory ${directory}`);
  if (!user.borrowed) return;
  await lstat(path);
  const parent = path === directory ? directory : dirname(path);
  if (!isWithin(await realpath(parent), await realpath(directory))) {
    throw new LifeboatError('not-sealed', `a link at ${parent} leads out of the drill's directory`);
  }
  const { exitCode, stderr } = await runCommand(['chown', '-RhP', `${user.uid}:${user.gid}`, '--', path]);
  const complaints = stderr.split('\n').filter((line) => line !== '' && !isVanished(line));
  if (complaints.length > 0) {
    throw new LifeboatError(
      'command-failed',
      `cannot give ${path} to the drill's user: ${complaints.slice(-5).join(' / ')}`,
      {
        context: { path, exitCode },
      },
    );
  }
}

function isWithin(path: string, directory: string): boolean {
  return join(directory, relative(directory, path)) === path && !relative(directory, path).startsWith('..');
}

/** A running PostgreSQL removes its temporary files while we walk; what is gone needs no owner. */
function isVanished(line: string): boolean {
  return line.endsWith('No such file or directory');
}
