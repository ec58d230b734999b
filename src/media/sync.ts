import { runCommand } from '../exec/index.ts';
import { LifeboatError } from '../core/errors.ts';

/**
 * All that was written to the file system of this path is on its disk when this resolves: syncfs(2), by coreutils' `sync`, because
 * Node has no call for it. PostgreSQL offers the same instead of fsync for each file (pg_basebackup --sync-method=syncfs).
 * Errors: `file-unwritable` when the disk took not all.
 */
export async function syncFileSystem(path: string): Promise<void> {
  const { exitCode, stderr } = await runCommand(['sync', '-f', path]);
  if (exitCode === 0) return;
  throw new LifeboatError('file-unwritable', `${path} could not be written to the disk: ${stderr.trim()}`, {
    hint: 'Look for errors of the disk in the kernel log (dmesg), then restore again.',
    context: { path },
  });
}
