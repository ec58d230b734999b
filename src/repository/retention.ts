import type { SnapshotEntry } from './port.ts';

/** How many snapshots each rule keeps; a rule that is not given keeps none. */
export interface RetentionPolicy {
  readonly keepLast?: number | undefined;
  readonly keepDaily?: number | undefined;
  readonly keepWeekly?: number | undefined;
  readonly keepMonthly?: number | undefined;
  readonly keepYearly?: number | undefined;
  /** However few the rules keep, this many of the newest stay. */
  readonly floor?: number | undefined;
}

export interface RetentionDecision {
  readonly id: string;
  readonly keep: boolean;
  /** One reason, for the table of `prune --dry-run` and for the forget record. */
  readonly reason: string;
}

type Candidate = Pick<SnapshotEntry, 'id' | 'seq' | 'time' | 'pinned' | 'drill'>;

interface Rule {
  readonly name: string;
  readonly count: number;
  readonly bucket: (candidate: Candidate) => string;
}

/**
 * Which snapshots stay, newest first, without doing anything. Days, weeks (ISO 8601), months and years are UTC; the newest
 * snapshot of each stays. Order is that of the log: a clock that was wrong cannot turn new into old. A policy without any
 * rule keeps everything. Pins, the newest snapshot that passed a drill, and the floor win over every rule.
 */
export function planRetention(snapshots: readonly Candidate[], policy: RetentionPolicy): RetentionDecision[] {
  const newestFirst = snapshots.toSorted((a, b) => b.seq - a.seq);
  const reasons = new Map<string, string>();
  const keep = (candidate: Candidate, reason: string): void => {
    if (!reasons.has(candidate.id)) reasons.set(candidate.id, reason);
  };

  for (const candidate of newestFirst) if (candidate.pinned) keep(candidate, 'pinned');
  const rules = rulesOf(policy);
  for (const rule of rules) applyRule(rule, newestFirst, keep);
  const proven = newestFirst.find((candidate) => candidate.drill?.result === 'PASS');
  if (proven !== undefined) keep(proven, 'newest proven');
  for (const candidate of newestFirst) {
    if (reasons.size >= (policy.floor ?? 0)) break;
    keep(candidate, 'floor');
  }
  if (rules.length === 0) for (const candidate of newestFirst) keep(candidate, 'no rule given');

  return newestFirst.map(({ id }) => {
    const reason = reasons.get(id);
    return { id, keep: reason !== undefined, reason: reason ?? 'kept by no rule' };
  });
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
