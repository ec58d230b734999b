import { createWriteStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isLifeboatError, LifeboatError } from '../core/errors.ts';
import { openMediaDirectory } from '../media/directory.ts';
import { createMediaRoot, writeMediaFiles } from '../media/restore.ts';
import type { Progress } from '../observe/index.ts';
import { configuredKeys } from '../restore/configured-keys.ts';
import type { DumpFile, RestoreSource } from '../restore/source.ts';
import type { Check } from '../restore/step.ts';
import { compareWithSource } from '../restore/steps/restore-media.ts';
import { compareKeys } from '../restore/steps/restore-signing-keys.ts';
import { ensurePrivateDirectory } from '../storage/durable-file.ts';
import { checkConfiguration, checkDumps, type WrittenDump } from './part-checks.ts';

export const PARTS = ['keys', 'config', 'media', 'database'] as const;

export type Part = (typeof PARTS)[number];

export interface RestorePartOptions {
  readonly source: RestoreSource;
  readonly part: Part;
  /** Empty or new. */
  readonly directory: string;
  /** Of pg_restore, where it is not on the PATH. */
  readonly clientDirectory?: string | undefined;
  readonly progress: Progress;
  readonly onCheck?: ((check: Check) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RestorePartOutcome {
  readonly written: readonly string[];
  readonly checks: readonly Check[];
  /** No check failed. */
  readonly ok: boolean;
}

/**
 * One component as files, nothing more: a lost signing key, a media file to look for, a dump for `pg_restore`. What was
 * written is read again and compared with the manifest. Errors: `target-not-empty`, those of reading.
 */
export async function restorePart(options: RestorePartOptions): Promise<RestorePartOutcome> {
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
  const { written, check } = await EXTRACT[options.part](options, directory);
  const checks: Check[] = [];
  for await (const one of withFindings(check())) {
    options.signal?.throwIfAborted();
    checks.push(one);
    options.onCheck?.(one);
  }
  return { written, checks, ok: checks.every(({ result }) => result !== 'fail') };
}

/** What cannot be parsed is a finding: the files are written, and whoever restores them must learn where. */
async function* withFindings(checks: AsyncIterable<Check>): AsyncGenerator<Check> {
  try {
    yield* checks;
  } catch (error) {
    if (!isLifeboatError(error, 'homeserver-config-invalid')) throw error;
    const { message, hints } = error;
    yield {
      id: 'part.parses',
      title: 'what was written can be read',
      result: 'fail',
      observed: message,
      detail: hints,
    };
  }
}

interface Extracted {
  readonly written: readonly string[];
  /** Reads again what was written. */
  check(): AsyncIterable<Check>;
}

type Extract = (options: RestorePartOptions, directory: string) => Promise<Extracted>;

const EXTRACT: Readonly<Record<Part, Extract>> = {
  keys: async ({ source }, directory) => {
    const keyFiles = await source.placeKeys(directory);
    // The current keys may stand in the configuration instead.
    const configured = await configuredKeys(source, directory);
    return {
      written: pathsOf(keyFiles),
      check: () => compareKeys({ source, found: { keyFiles, configuredKeys: configured } }),
    };
  },
  config: async ({ source }, directory) => {
    const placed = await source.placeConfig(directory);
    return { written: pathsOf(placed), check: () => checkConfiguration(source.serverName, placed) };
  },
  database: async (options, directory) => {
    const dumps = await writeDumps(options.source.dumps(), directory, options);
    for (const other of options.source.databases ?? []) {
      const below = join(directory, basename(other.label));
      await ensurePrivateDirectory(below);
      dumps.push(...(await writeDumps(other.dumps(), below, options)));
    }
    return { written: pathsOf(dumps), check: () => checkDumps(dumps, options) };
  },
  media: async ({ source, progress, signal }, directory) => {
    const root = await createMediaRoot(directory, { durable: true });
    let done = 0;
    const onDone = () => {
      done += 1;
      progress({ phase: 'media', done, unit: 'files' });
    };
    await writeMediaFiles(root, source.media(), { onDone, signal });
    return {
      written: [directory],
      check: async function* () {
        yield* compareWithSource({ source }, await openMediaDirectory(directory));
      },
    };
  },
};

async function writeDumps(
  files: readonly DumpFile[],
  directory: string,
  { progress, signal }: RestorePartOptions,
): Promise<WrittenDump[]> {
  const dumps: WrittenDump[] = [];
  for (const { name, content, open } of files) {
    progress({ phase: 'database', message: `writing ${name}` });
    // The name comes from a manifest, and would lead anywhere.
    const path = join(directory, basename(name));
    const file = createWriteStream(path, { mode: 0o600, flags: 'wx', flush: true });
    await pipeline(open(), file, { signal });
    dumps.push({ path, content });
  }
  return dumps;
}

function pathsOf(files: readonly { readonly path: string }[]): string[] {
  return files.map(({ path }) => path);
}
