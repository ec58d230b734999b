import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { allOrNone } from '../core/all-or-none.ts';
import { eachConcurrently } from '../core/each-concurrently.ts';
import { defaultLanes } from '../database/index.ts';
import type { RestoreContext } from './context.ts';
import { loadDump } from './load-dump.ts';
import { loadLane } from './load-lane.ts';
import type { DumpFile } from './source.ts';

/**
 * Loads all dumps of the source: archives of one database in the order of the manifest, those of its rows beside each other
 * between the schema and what is built over the rows. Errors: as `loadDump`; of lanes, the first.
 */
export async function loadDumps(context: RestoreContext): Promise<void> {
  const dumps = context.source.dumps();
  const lanes = dumps.filter(({ section }) => section === 'data');
  const first = dumps.findIndex(({ section }) => section === 'data');
  for (const [at, dump] of dumps.entries()) {
    if (at === first) await loadLanes(lanes, context);
    if (dump.section !== 'data') await loadByFile(dump, at, context);
  }
}

/** Largest first: whoever is free takes the next. */
async function loadLanes(dumps: readonly DumpFile[], context: RestoreContext): Promise<void> {
  const ordered = dumps.toSorted((a, b) => (b.content?.sizeBytes ?? 0) - (a.content?.sizeBytes ?? 0));
  await allOrNone(context.signal, [
    async (signal, stop) => {
      await eachConcurrently(ordered.entries(), defaultLanes(), async ([at, dump]) => {
        signal.throwIfAborted();
        try {
          await withDirectory(`lane-${at}`, context, (directory) =>
            loadLane(dump, directory, { ...context, signal }),
          );
        } catch (error) {
          stop();
          throw error;
        }
      });
    },
  ]);
}

async function loadByFile(dump: DumpFile, at: number, context: RestoreContext): Promise<void> {
  const { progress, signal } = context;
  await withDirectory(`dump-${at}`, context, async (directory) => {
    // The name of the dump comes from a manifest, and would lead anywhere.
    const file = join(directory, 'dump');
    progress({ phase: 'restore-database', message: `reading ${dump.name}` });
    await pipeline(dump.open(), createWriteStream(file, { mode: 0o600 }), {
      ...(signal === undefined ? {} : { signal }),
    });
    progress({ phase: 'restore-database', message: `restoring ${dump.name}` });
    await loadDump(file, context);
  });
}

/** One for each dump, which nothing that a dump has started can write to: only the file is handed over. */
async function withDirectory(
  name: string,
  { target }: RestoreContext,
  use: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = join(target.directory, name);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { mode: 0o711 });
  try {
    await use(directory);
  } finally {
    // Everything that people wrote stands in it in clear.
    await rm(directory, { recursive: true, force: true });
  }
}
