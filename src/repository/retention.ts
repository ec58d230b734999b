import type { SnapshotEntry } from './port.ts';

/** Tag of a snapshot of a database that lost rows, and nobody has said why yet. */
export const ALARM_TAG = 'alarm';

/** How many snapshots each rule keeps; a rule that is not given keeps none. */
export interface RetentionPolicy {
  readonly keepLast?: number | undefined;
  readonly keepDaily?: number | undefined;
  readonly keepWeekly?: number | undefined;
  readonly keepMonthly?: number | undefined;
  readonly keepYearly?: number | undefined;
  /** What was stored within so many milliseconds before the newest record stays, by the store's clock. */
  readonly keepWithinMs?: number | undefined;
  /** However few the rules keep, this many of the newest stay. */
  readonly floor?: number | undefined;
}

export interface RetentionDecision {
  readonly id: string;
  readonly keep: boolean;
  /** One reason, for the table of `prune --dry-run` and for the forget record. */
  readonly reason: string;
}

type Candidate = Pick<SnapshotEntry, 'id' | 'seq' | 'time' | 'pinned' | 'drill'> &
  Partial<Pick<SnapshotEntry, 'storedAt' | 'provenByAdmin' | 'tags'>>;

interface Rule {
  readonly name: string;
  readonly count: number;
  readonly bucket: (candidate: Candidate) => string;
}

/**
 * Which snapshots stay, newest first, without doing anything. Days, weeks (ISO 8601), months and years are UTC; the newest
 * snapshot of each stays. Order is that of the log: a clock that was wrong cannot turn new into old. A policy without any
 * rule keeps everything. Pins, the newest snapshot that passed a drill (and the newest of which the admin key says so), what is
 * young, and the floor win over every rule.
 * Snapshots with the tag `alarm` take no place of others.
 * Whoever steals a host's key can add snapshots with any time and any proof (R7): they push nothing out that was stored within
 * `keepWithinMs`, and afterwards no more than the good ones of the days on which he did it.
 */
export function planRetention(snapshots: readonly Candidate[], policy: RetentionPolicy): RetentionDecision[] {
  const newestFirst = trueTimes(snapshots.toSorted((a, b) => a.seq - b.seq)).toReversed();
  const reasons = new Map<string, string>();
  const keep = (candidate: Candidate, reason: string): void => {
    if (!reasons.has(candidate.id)) reasons.set(candidate.id, reason);
  };

  for (const candidate of newestFirst) if (candidate.pinned) keep(candidate, 'pinned');
  const rules = rulesOf(policy);
  // Apart from each other: night after night of a damaged database must not push out the last good ones.
  const alarmed = newestFirst.filter(isAlarmed);
  const calm = newestFirst.filter((candidate) => !isAlarmed(candidate));
  for (const rule of rules) {
    applyRule(rule, calm, keep);
    applyRule(rule, alarmed, keep);
  }
  const proven = newestFirst.find((candidate) => candidate.drill?.result === 'PASS');
  if (proven !== undefined) keep(proven, 'newest proven');
  const provenByAdmin = newestFirst.find((candidate) => candidate.provenByAdmin === true);
  if (provenByAdmin !== undefined) keep(provenByAdmin, 'newest proven by the admin key');
  if (rules.length > 0) for (const candidate of youngOnes(newestFirst, policy)) keep(candidate, 'young');
  for (const candidates of alarmed.length === 0 ? [newestFirst] : [newestFirst, calm]) {
    for (const candidate of candidates) {
      if (candidates.filter(({ id }) => reasons.has(id)).length >= (policy.floor ?? 0)) break;
      keep(candidate, 'floor');
    }
  }
  if (rules.length === 0) for (const candidate of newestFirst) keep(candidate, 'no rule given');

  return newestFirst.map(({ id }) => {
    const reason = reasons.get(id);
    return { id, keep: reason !== undefined, reason: reason ?? 'kept by no rule' };
  });
}

function isAlarmed({ tags = [] }: Candidate): boolean {
  return tags.includes(ALARM_TAG);
}

/**
 * A record was made after the one before it, and before it was stored: a time outside of that is a wrong clock or a lie, and is
 * taken for the nearest possible. Oldest first.
 */
function trueTimes(oldestFirst: readonly Candidate[]): Candidate[] {
  let before = -Infinity;
  return oldestFirst.map((candidate) => {
    const stored = candidate.storedAt?.getTime() ?? Infinity;
    const time = Math.min(Math.max(candidate.time.getTime(), before), stored);
    // A clock that ran ahead must not make all that follow as wrong.
    if (candidate.storedAt !== undefined && candidate.time.getTime() <= stored) before = time;
    return { ...candidate, time: new Date(time) };
  });
}

/** The store's newest time stands for now: no clock of ours can make everything look old. */
function youngOnes(newestFirst: readonly Candidate[], { keepWithinMs = 0 }: RetentionPolicy): Candidate[] {
  const times = newestFirst.flatMap(({ storedAt }) => (storedAt === undefined ? [] : [storedAt.getTime()]));
  const youngest = times.reduce((newest, time) => Math.max(newest, time), -Infinity);
  return newestFirst.filter(
    ({ storedAt }) => storedAt !== undefined && youngest - storedAt.getTime() < keepWithinMs,
  );
}

function rulesOf(policy: RetentionPolicy): Rule[] {
  const rules: Rule[] = [
    { name: 'last', count: policy.keepLast ?? 0, bucket: ({ id }) => id },
    { name: 'daily', count: policy.keepDaily ?? 0, bucket: ({ time }) => time.toISOString().slice(0, 10) },
    { name: 'weekly', count: policy.keepWeekly ?? 0, bucket: ({ time }) => isoWeek(time) },
    { name: 'monthly', count: policy.keepMonthly ?? 0, bucket: ({ time }) => time.toISOString().slice(0, 7) },
    { name: 'yearly', count: policy.keepYearly ?? 0, bucket: ({ time }) => time.toISOString().slice(0, 4) },
  ];
  return rules.filter(({ count }) => count > 0);
}

function applyRule(
  rule: Rule,
  newestFirst: readonly Candidate[],
  keep: (candidate: Candidate, reason: string) => void,
): void {
  const filled = new Set<string>();
  for (const candidate of newestFirst) {
    if (filled.size >= rule.count) return;
    const bucket = rule.bucket(candidate);
    if (filled.has(bucket)) continue;
    filled.add(bucket);
    keep(candidate, rule.name === 'last' ? 'last' : `${rule.name} ${bucket}`);
  }
}

/** `2026-W01`: the week belongs to the year that its Thursday is in. */
function isoWeek(time: Date): string {
  const thursday = new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate()));
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  const year = thursday.getUTCFullYear();
  const week = Math.ceil(((thursday.getTime() - Date.UTC(year, 0, 1)) / 86_400_000 + 1) / 7);
  return `${year}-W${String(week).padStart(2, '0')}`;
}
