import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planRetention, type RetentionPolicy } from '../../src/repository/retention.ts';

const DAY = 86_400_000;
const count = fc.option(fc.nat(6), { nil: undefined });
const policies: fc.Arbitrary<RetentionPolicy> = fc.record({
  keepLast: count,
  keepDaily: count,
  keepWeekly: count,
  keepMonthly: count,
  keepYearly: count,
  floor: count,
});
const snapshots = fc
  .array(
    fc.record({
      time: fc.date({ min: new Date('2020-01-01'), max: new Date('2030-01-01'), noInvalidDate: true }),
      pinned: fc.boolean(),
      drill: fc.constantFrom(undefined, 'PASS' as const, 'FAIL' as const),
    }),
    { maxLength: 40 },
  )
  .map((rows) =>
    rows.map(({ time, pinned, drill }, at) => ({
      id: `s${at}`,
      seq: at + 2,
      time,
      pinned,
      drill: drill === undefined ? undefined : { time, result: drill },
    })),
  );

describe('retention', () => {
  it('decides about every snapshot once, newest first, with a reason', () => {
    fc.assert(
      fc.property(snapshots, policies, (all, policy) => {
        const plan = planRetention(all, policy);
        expect(plan.map(({ id }) => id)).toEqual(all.map(({ id }) => id).toReversed());
        for (const { keep, reason } of plan) expect(keep).toBe(reason !== 'kept by no rule');
      }),
    );
  });

  it('never drops a pin, the newest proven snapshot, or below the floor', () => {
    fc.assert(
      fc.property(snapshots, policies, (all, policy) => {
        const kept = new Set(planRetention(all, policy).flatMap(({ id, keep }) => (keep ? [id] : [])));
        for (const { id, pinned } of all) if (pinned) expect(kept).toContain(id);
        const proven = all.findLast(({ drill }) => drill?.result === 'PASS');
        if (proven !== undefined) expect(kept).toContain(proven.id);
        expect(kept.size).toBeGreaterThanOrEqual(Math.min(policy.floor ?? 0, all.length));
        for (const { id } of all.slice(-(policy.keepLast || Infinity)))
          if ((policy.keepLast ?? 0) > 0) expect(kept).toContain(id);
      }),
    );
  });

  it('drops nothing that it would keep tomorrow: a second run over what was kept drops nothing more', () => {
    fc.assert(
      fc.property(snapshots, policies, (all, policy) => {
        const keptOf = (list: typeof all) => {
          const ids = new Set(planRetention(list, policy).flatMap(({ id, keep }) => (keep ? [id] : [])));
          return list.filter(({ id }) => ids.has(id));
        };
        const once = keptOf(all);
        expect(keptOf(once)).toEqual(once);
      }),
    );
  });

  it('keeps the newest of each day, week, month and year, nothing else, under one rule', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 10 }), (days, keepDaily) => {
        const all = Array.from({ length: days * 2 }, (_, at) => ({
          id: `s${at}`,
          seq: at + 2,
          time: new Date(Date.UTC(2026, 0, 1) + (at * DAY) / 2),
          pinned: false,
          drill: undefined,
        }));
        const kept = planRetention(all, { keepDaily }).filter(({ keep }) => keep);
        expect(kept).toHaveLength(Math.min(days, keepDaily));
        for (const { id } of kept) expect(Number(id.slice(1)) % 2).toBe(1);
      }),
      { numRuns: 30 },
    );
  });
});
