import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lifeboat } from './lifeboat.ts';
import { measure, run, type Cost } from './measure.ts';
import { mediaTree } from './media-tree.ts';
import { say } from './terminal.ts';
import type { Tool } from './tool.ts';

export interface MemoryOptions {
  readonly files: number;
  readonly tools: readonly Tool[];
  readonly lifeboat: Lifeboat;
  readonly workDirectory: string;
}

export type MemoryCosts = ReadonlyMap<string, Cost>;

/** Small files in memory: a million of them take 4 KiB and a folder each. */
const TMPFS = '/dev/shm';

/** Tool -> step -> cost, of many files of 1 to 2 KiB: what grows with the number of files shows. */
export async function memoryRows({
  files,
  tools,
  lifeboat,
  workDirectory,
}: MemoryOptions): Promise<ReadonlyMap<string, MemoryCosts>> {
  const parent = join(existsSync(TMPFS) ? TMPFS : workDirectory, 'lifeboat-bench');
  const tree = mediaTree({ files, meanBytes: 2048, sizes: 'narrow', newShare: 0, parent });
  const costs = new Map<string, MemoryCosts>();
  for (const tool of tools) {
    const place = { directory: join(workDirectory, `memory-${tool.name.replaceAll('|', '-')}`) };
    const target = join(parent, 'restored');
    const options = { env: tool.env(place) };
    const steps = new Map<string, Cost>();
    costs.set(tool.name, steps);
    const step = async (name: string, script: string | undefined): Promise<void> => {
      if (script === undefined) return;
      const cost = await measure(script, options);
      steps.set(name, cost);
      say(
        `${tool.name} ${name}: ${cost.rssMiB.toFixed(0)} MiB, ${cost.wallSeconds.toFixed(1)} s, CPU ${cost.cpuSeconds.toFixed(1)} s`,
      );
    };
    try {
      await mkdir(place.directory, { recursive: true });
      await run(tool.init(place), options);
      await step('first', tool.backUpMedia(place, tree));
      if (tool.incremental) await step('nothing', tool.backUpMedia(place, tree));
      if (tool === lifeboat) await step('nothing-walk', lifeboat.backUpWithoutHashes(place, tree));
      await step('check', tool.check(place));
      await step('restore', tool.restoreMedia(place, target));
    } finally {
      await rm(place.directory, { recursive: true, force: true });
      await rm(target, { recursive: true, force: true });
    }
  }
  await rm(parent, { recursive: true, force: true });
  return costs;
}
