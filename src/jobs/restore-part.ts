import { createWriteStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { LifeboatError } from '../core/errors.ts';
import { createMediaRoot, writeMediaFiles } from '../media/restore.ts';
import type { Progress } from '../observe/index.ts';
import type { RestoreSource } from '../restore/source.ts';
import { ensurePrivateDirectory } from '../storage/durable-file.ts';

export const PARTS = ['keys', 'config', 'media', 'database'] as const;

export type Part = (typeof PARTS)[number];

export interface RestorePartOptions {
  readonly source: RestoreSource;
  readonly part: Part;
  /** Empty or new. */
  readonly directory: string;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One component as files, nothing more: a lost signing key, a media file to look for, a dump for `pg_restore`. Contents are
 * compared with the manifest while they are written. Resolves to what was written. Errors: `target-not-empty`, those of reading.
 */
export async function restorePart(options: RestorePartOptions): Promise<readonly string[]> {
  const directory = resolve(options.directory);
  await ensurePrivateDirectory(directory);
  const there = await readdir(directory);
  if (there.length > 0) {
    throw new LifeboatError(
      'target-not-empty',
      `${directory} is not empty: ${there.slice(0, 5).join(', ')}`,
      {
        hint: 'Restore into a new directory; nothing is ever written over.',
        context: { directory },
      },
    );
  }
  return EXTRACT[options.part](options, directory);
}

type Extract = (options: RestorePartOptions, directory: string) => Promise<readonly string[]>;

const EXTRACT: Readonly<Record<Part, Extract>> = {
  keys: async ({ source }, directory) => (await source.placeKeys(directory)).map(({ path }) => path),
  config: async ({ source }, directory) => (await source.placeConfig(directory)).map(({ path }) => path),
  database: async ({ source, progress, signal }, directory) => {
    const paths: string[] = [];
    for (const { name, open } of source.dumps()) {
      progress({ phase: 'database', message: `writing ${name}` });
      // The name comes from a manifest, and would lead anywhere.
      const path = join(directory, basename(name));
      await pipeline(open(), createWriteStream(path, { mode: 0o600, flags: 'wx', flush: true }), { signal });
      paths.push(path);
    }
    return paths;
  },
  media: async ({ source, progress, signal }, directory) => {
    const root = await createMediaRoot(directory, { fsync: 'file' });
    let done = 0;
    const onDone = () => {
      done += 1;
      progress({ phase: 'media', done, unit: 'files' });
    };
    await writeMediaFiles(root, source.media(), { onDone, signal });
    return [directory];
  },
};
