import { cp, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Lifeboat } from './lifeboat.ts';
import type { MediaTree } from './media-tree.ts';
import { measure, run, type Cost } from './measure.ts';
import type { MediaSource, Place, Tool } from './tool.ts';
import { say } from './terminal.ts';

export const MEDIA_ROWS = ['first', 'nothing', 'nothing-walk', 'new', 'check', 'restore'] as const;
export type MediaRow = (typeof MEDIA_ROWS)[number];

/** Row -> what it took, one entry a round. */
export type MediaCosts = Map<MediaRow, Cost[]>;

export interface MediaRound {
  readonly tool: Tool;
  readonly lifeboat: Lifeboat;
  readonly tree: MediaTree;
  readonly workDirectory: string;
  readonly wanted: ReadonlySet<MediaRow>;
}

/** All rows for one tool, from an empty repository. */
export async function mediaRound({
  tool,
  lifeboat,
  tree,
  workDirectory,
  wanted,
}: MediaRound): Promise<MediaCosts> {
  const place: Place = { directory: join(workDirectory, `media-${tool.name.replaceAll('|', '-')}`) };
  const target = join(workDirectory, 'restored');
  const costs: MediaCosts = new Map();
  const options = { env: tool.env(place) };
  const step = async (row: MediaRow, script: string | undefined, always = false): Promise<void> => {
    if (script === undefined || !(always || wanted.has(row))) return;
    const cost = await measure(script, options);
    costs.set(row, [cost]);
    say(
      `${tool.name} ${row}: ${cost.wallSeconds.toFixed(2)} s, CPU ${cost.cpuSeconds.toFixed(2)} s, ${cost.rssMiB.toFixed(0)} MiB`,
    );
  };
  const source: MediaSource = { directory: tree.directory, rowsFile: tree.rowsFile };
  await mkdir(place.directory, { recursive: true });
  try {
    await run(tool.init(place), options);
    await step('first', tool.backUpMedia(place, source), true);
    if (tool.incremental) {
      await step('nothing', tool.backUpMedia(place, source));
      if (tool === lifeboat) await step('nothing-walk', lifeboat.backUpWithoutHashes(place, source));
      if (wanted.has('new')) {
        await placeNewFiles(tree);
        try {
          await step('new', tool.backUpMedia(place, { ...source, rowsFile: tree.rowsWithNewFile }));
        } finally {
          await removeNewFiles(tree);
        }
      }
    }
    await step('check', tool.check(place));
    await step('restore', tool.restoreMedia(place, target));
  } finally {
    await rm(place.directory, { recursive: true, force: true });
    await rm(target, { recursive: true, force: true });
  }
  return costs;
}

/** The tree is shared by all runs: what a killed one left behind would be found by the next. */
export async function removeNewFiles(tree: MediaTree): Promise<void> {
  for (const path of tree.newPaths) await rm(join(tree.directory, path), { force: true });
}

async function placeNewFiles(tree: MediaTree): Promise<void> {
  for (const path of tree.newPaths) {
    await mkdir(dirname(join(tree.directory, path)), { recursive: true });
    await cp(join(tree.newDirectory, path), join(tree.directory, path));
  }
}
