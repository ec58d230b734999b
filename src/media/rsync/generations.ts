import type { MediaGenerations, RetireOptions } from '../generations.ts';
import type { Tree } from './tree.ts';

/**
 * At the place, below the id of the repository:
 *   2026-11-25T163000.123Z.<snapshot id>   the media of one snapshot, whole and verified; the time is when it became so
 *   .partial.2026-11-25T160000.123Z.<id>   one that is being filled, or was when a run was interrupted; the time is its beginning
 *   .deleting.<name>                   what a prune was deleting
 */
const GENERATION = /^(\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z)\.([0-9a-f]{32})$/;
const STARTED = /^\.partial\.(\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z)\.[0-9a-f]{32}$/;
const DELETING = '.deleting.';

/** No transfer takes so long, and one that was given up is not gone on with by anybody. */
const ABANDONED_MS = 30 * 24 * 60 * 60 * 1000;

export function generationName(now: Date, snapshotId: string): string {
  return `${now.toISOString().replaceAll(':', '')}.${snapshotId}`;
}

export function partialName(now: Date, snapshotId: string): string {
  return `.partial.${generationName(now, snapshotId)}`;
}

/** The newest that is whole: what is unchanged since is linked to it. */
export async function newestGeneration(target: Tree, base: string): Promise<string | undefined> {
  const names = (await target.names(base)) ?? [];
  return names
    .filter((name) => GENERATION.test(name))
    .toSorted()
    .at(-1);
}

/** `base`: the folder of the repository below the place. */
export function rsyncGenerations(target: Tree, base: string): MediaGenerations {
  return { place: target.location, retire: (options) => retire(target, base, options) };
}

async function retire(
  target: Tree,
  base: string,
  { live, graceMs, now, dryRun }: RetireOptions,
): Promise<readonly string[]> {
  const names = (await target.names(base)) ?? [];
  const needed = await live();
  // A log without any snapshot proves nothing of media that somebody has made.
  if (needed.size === 0) return [];
  const superfluous = names.filter((name) => {
    const [, finished, snapshotId = ''] = GENERATION.exec(name) ?? [];
    if (finished !== undefined) return !needed.has(snapshotId) && ageOf(finished, now) > graceMs;
    const started = STARTED.exec(name)?.[1];
    return started !== undefined && ageOf(started, now) > Math.max(graceMs, ABANDONED_MS);
  });
  if (dryRun) return superfluous;
  // Under another name first: what a killed prune leaves must not be taken for a generation.
  for (const name of superfluous) await target.rename(`${base}/${name}`, `${base}/${DELETING}${name}`);
  const leftOver = names.filter((name) => name.startsWith(DELETING));
  for (const name of [...leftOver, ...superfluous.map((each) => `${DELETING}${each}`)])
    await target.remove(`${base}/${name}`);
  return superfluous;
}

/** Ms; what lies in the future is new. */
function ageOf(stamp: string, now: Date): number {
  const iso = stamp.replace(/T(\d\d)(\d\d)(\d\d\.)/, 'T$1:$2:$3');
  return now.getTime() - new Date(iso).getTime();
}
