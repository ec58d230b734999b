import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from '../config/zod.ts';
import { LifeboatError } from '../core/errors.ts';
import { ensurePrivateDirectory, writeDurably } from '../storage/durable-file.ts';

/**
 * The last log record this machine saw, kept outside the repository: the only way to notice that a whole repository was
 * rolled back to yesterday's copy, or that its newest records were cut off.
 */
const schema = z.strictObject({
  config_sha256: z.string(),
  seq: z.int().nonnegative(),
  sha256: z.string(),
});

export type SavedHead = z.infer<typeof schema>;

export function savedHeadPath(stateDirectory: string, repositoryId: string): string {
  return join(stateDirectory, 'heads', `${repositoryId}.json`);
}

/** Undefined when this machine has not seen the repository yet. Errors: `file-unreadable`. */
export async function readSavedHead(path: string): Promise<SavedHead | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw unreadable(path, error);
  }
}

export async function writeSavedHead(path: string, head: SavedHead): Promise<void> {
  await ensurePrivateDirectory(dirname(path));
  await writeDurably(path, `${JSON.stringify(head)}\n`);
}

function unreadable(path: string, cause: unknown): LifeboatError {
  return new LifeboatError('file-unreadable', `cannot read the saved head ${path}`, {
    cause,
    hint: `Run \`lifeboat check\`; if the repository is sound, remove ${path}.`,
  });
}
