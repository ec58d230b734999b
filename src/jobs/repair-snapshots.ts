import type { Progress } from '../observe/index.ts';
import { brokenSnapshots, reasonToForget } from '../repository/index.ts';
import type { BrokenSnapshot, Repository } from '../repository/port.ts';
import { refuseLarge } from './refuse-large.ts';

export interface RepairSnapshotsOptions {
  /** Forget what cannot be restored whole; otherwise it is only found. */
  readonly forget: boolean;
  /** Read every pack, for damage that leaves the size as it was. */
  readonly readData: boolean;
  /** Forget more than a quarter of the snapshots. */
  readonly allowLarge: boolean;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

export interface RepairSnapshotsOutcome {
  readonly snapshots: number;
  readonly broken: readonly BrokenSnapshot[];
  /** Ids. */
  readonly forgotten: readonly string[];
}

/** Errors: those of a check, `not-confirmed`, `admin-key-missing`, `usage` (one of them is pinned: then none is forgotten). */
export async function repairSnapshots(
  repository: Repository,
  { forget, readData, allowLarge, progress, signal }: RepairSnapshotsOptions,
): Promise<RepairSnapshotsOutcome> {
  progress({ phase: 'check', message: 'looking for what snapshots need and lack' });
  const { findings, snapshots } = await repository.check({ readData: readData ? 'all' : 'none', signal });
  const broken = brokenSnapshots(findings);
  if (!forget) return { snapshots, broken, forgotten: [] };
  // A folder that is not mounted looks like the loss of everything.
  if (!allowLarge) refuseLarge(broken.length, snapshots, '`lifeboat repair snapshots`');
  const forgotten = broken.map(({ id }) => id);
  const reasons = Object.fromEntries(broken.map((snapshot) => [snapshot.id, reasonToForget(snapshot)]));
  await repository.forget(forgotten, reasons);
  return { snapshots, broken, forgotten };
}
