import { LifeboatError } from '../core/errors.ts';
import type { MediaGenerations } from '../media/generations.ts';
import type { Progress } from '../observe/index.ts';
import { planRetention, type RetentionPolicy } from '../repository/index.ts';
import type { PruneResult, Repository, SnapshotEntry } from '../repository/port.ts';
import { refuseLarge } from './refuse-large.ts';

export interface PruneJobOptions {
  readonly policy: RetentionPolicy;
  /** Decides and counts, changes nothing. */
  readonly dryRun: boolean;
  readonly graceMs?: number | undefined;
  /** Forget more than a quarter of the snapshots. */
  readonly allowLarge?: boolean | undefined;
  /** Media outside of the repository, whose generations go with their snapshots. */
  readonly generations?: MediaGenerations | undefined;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

export interface PruneOutcome {
  /** Newest first. */
  readonly decisions: readonly {
    readonly snapshot: SnapshotEntry;
    readonly keep: boolean;
    readonly reason: string;
  }[];
  /** Ids: of those that are, or would be, forgotten. */
  readonly forgotten: readonly string[];
  readonly pruned: PruneResult;
  /** Generations of media that were, or would be, deleted. */
  readonly retired: readonly string[];
}

/** A backup that runs meanwhile need not upload again what it has just uploaded; longer than any backup should take. */
const GRACE_MS = 24 * 60 * 60 * 1000;

/** A drill, a pin or another prune may have been recorded since the plan was made. */
function refuseWhatIsKeptNow(
  forgotten: readonly string[],
  current: readonly SnapshotEntry[],
  policy: RetentionPolicy,
): void {
  const kept = planRetention(current, policy).find(({ id, keep }) => keep && forgotten.includes(id));
  if (kept === undefined) return;
  throw new LifeboatError(
    'locked',
    `snapshot ${kept.id.slice(0, 8)} is to be kept since a moment: ${kept.reason}`,
    {
      hint: 'Run `lifeboat prune` again.',
      context: { snapshot: kept.id },
    },
  );
}

/**
 * Forgets what the policy does not keep, then deletes what no snapshot needs. Errors: `not-confirmed`, `locked`,
 * `admin-key-missing`, `store-denied` (the account may only add), `repository-damaged`.
 */
export async function pruneRepository(
  repository: Repository,
  options: PruneJobOptions,
): Promise<PruneOutcome> {
  const { dryRun, progress } = options;
  const snapshots = await repository.snapshots();
  const byId = new Map(snapshots.map((snapshot) => [snapshot.id, snapshot]));
  const decisions = planRetention(snapshots, options.policy).map(({ id, keep, reason }) => ({
    snapshot: byId.get(id)!,
    keep,
    reason,
  }));
  const leaving = decisions.filter(({ keep }) => !keep);
  const forgotten = leaving.map(({ snapshot }) => snapshot.id);
  if (!dryRun && forgotten.length > 0) {
    if (options.allowLarge !== true)
      refuseLarge(forgotten.length, decisions.length, '`lifeboat prune --dry-run`');
    await repository.requireMayDelete();
    progress({ phase: 'forget', message: `forgetting ${forgotten.length} snapshots` });
    await repository.forget(
      forgotten,
      Object.fromEntries(leaving.map(({ snapshot, reason }) => [snapshot.id, reason])),
      (current) => refuseWhatIsKeptNow(forgotten, current, options.policy),
    );
  }
  progress({ phase: 'prune', message: 'looking for objects that no snapshot needs' });
  const pruned = await repository.prune({
    dryRun,
    graceMs: options.graceMs ?? GRACE_MS,
    signal: options.signal,
  });
  const retired = await retire(repository, options, new Set(dryRun ? forgotten : []));
  return { decisions, forgotten, pruned, retired };
}

/** Last: `forget` is in the log, so that no snapshot that anybody sees loses its media. */
async function retire(
  repository: Repository,
  { generations, graceMs, dryRun, progress }: PruneJobOptions,
  leaving: ReadonlySet<string>,
): Promise<readonly string[]> {
  if (generations === undefined) return [];
  progress({
    phase: 'prune',
    message: `looking for generations of media that no snapshot needs at ${generations.place}`,
  });
  return await generations.retire({
    live: async () =>
      new Set((await repository.snapshots()).map(({ id }) => id).filter((id) => !leaving.has(id))),
    // A backup that runs has published its generation before any record names it.
    graceMs: Math.max(graceMs ?? GRACE_MS, GRACE_MS),
    now: new Date(),
    dryRun,
  });
}
