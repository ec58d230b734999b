import type { Progress } from '../observe/index.ts';
import { planRetention, type RetentionPolicy } from '../repository/index.ts';
import type { PruneResult, Repository, SnapshotEntry } from '../repository/port.ts';

export interface PruneJobOptions {
  readonly policy: RetentionPolicy;
  /** Decides and counts, changes nothing. */
  readonly dryRun: boolean;
  readonly graceMs?: number | undefined;
  readonly progress: Progress;
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
}

/** A backup that runs meanwhile need not upload again what it has just uploaded; longer than any backup should take. */
const GRACE_MS = 24 * 60 * 60 * 1000;

/** Forgets what the policy does not keep, then deletes what no snapshot needs. Errors: `admin-key-missing`, `repository-damaged`. */
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
    progress({ phase: 'forget', message: `forgetting ${forgotten.length} snapshots` });
    await repository.forget(
      forgotten,
      Object.fromEntries(leaving.map(({ snapshot, reason }) => [snapshot.id, reason])),
    );
  }
  progress({ phase: 'prune', message: 'looking for objects that no snapshot needs' });
  const pruned = await repository.prune({ dryRun, graceMs: options.graceMs ?? GRACE_MS });
  return { decisions, forgotten, pruned };
}
