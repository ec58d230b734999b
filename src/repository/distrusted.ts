import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from '../config/zod.ts';
import { LifeboatError, messageOf } from '../core/errors.ts';
import { ensurePrivateDirectory, writeDurably } from '../storage/durable-file.ts';
import { promisedSha256 } from './object-names.ts';
import type { CheckOptions, CheckResult } from './port.ts';

/**
 * Packs and manifests that a check of this machine has found damaged. They are there, by name and size, and a backup that
 * leaned on them would be broken like those before it: its contents are stored anew instead.
 */
const schema = z.strictObject({
  v: z.literal(1),
  objects: z.array(z.string().refine((key) => promisedSha256(key) !== undefined)),
});

const LEANED_ON = /^(?:packs|manifests)\//;

export function distrustedPath(stateDirectory: string, repositoryId: string): string {
  return join(stateDirectory, 'distrusted', `${repositoryId}.json`);
}

/** Errors: `file-unreadable`. */
export async function readDistrusted(path: string): Promise<ReadonlySet<string>> {
  try {
    return new Set(schema.parse(JSON.parse(await readFile(path, 'utf8'))).objects);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Set();
    throw new LifeboatError(
      'file-unreadable',
      `cannot read the list of damaged objects ${path}: ${messageOf(error)}`,
      {
        cause: error,
        hint: `Remove it, and run \`lifeboat check --read-data\`, which writes it anew.`,
      },
    );
  }
}

/** What was read and found sound again, because somebody put it back from a copy, is trusted again. */
export async function rememberDistrusted(
  path: string,
  { readData }: CheckOptions,
  { findings }: CheckResult,
): Promise<void> {
  const before = await readDistrusted(path).catch(() => new Set<string>());
  const found = findings
    .filter(({ severity, object }) => severity === 'error' && LEANED_ON.test(object))
    .map(({ object }) => object);
  // Manifests are read by every check, packs as far as was asked for.
  const kept = readData === 'all' ? [] : [...before].filter((key) => key.startsWith('packs/'));
  const objects = [...new Set([...kept, ...found])].toSorted();
  if (objects.length === before.size && objects.every((key) => before.has(key))) return;
  await ensurePrivateDirectory(dirname(path));
  await writeDurably(path, `${JSON.stringify({ v: 1, objects })}\n`);
}
