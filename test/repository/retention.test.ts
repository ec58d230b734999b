import { describe, expect, it } from 'vitest';
import { planRetention, type RetentionPolicy } from '../../src/repository/retention.ts';

const at = (times: readonly string[]) =>
  times.map((time, index) => ({
    id: time,
    seq: index + 2,
    time: new Date(time),
    pinned: false,
    drill: undefined,
  }));

const kept = (times: readonly string[], policy: RetentionPolicy): Record<string, string> =>
  Object.fromEntries(
    planRetention(at(times), policy).flatMap(({ id, keep, reason }) => (keep ? [[id, reason]] : [])),
  );

describe('retention', () => {
  it('keeps everything without a rule', () => {
    expect(kept(['2026-01-01T00:00:00Z'], {})).toEqual({ '2026-01-01T00:00:00Z': 'no rule given' });
    expect(kept(['2026-01-01T00:00:00Z'], { floor: 1 })).toEqual({ '2026-01-01T00:00:00Z': 'floor' });
  });

  it('lets no snapshot of a database that lost rows take the place of one before', () => {
    const days = ['01', '02', '03', '04', '05', '06'].map((day) => `2026-01-${day}T00:00:00Z`);
    const snapshots = at(days).map((candidate, index) => ({
      ...candidate,
      tags: index < 3 ? [] : ['alarm'],
    }));
    const decisions = planRetention(snapshots, { keepDaily: 2, floor: 2 });
    const stay = decisions.filter(({ keep }) => keep).map(({ id }) => id.slice(8, 10));
    expect(stay).toEqual(['06', '05', '03', '02']);
  });

  it('names the rule and the day in UTC', () => {
    expect(
      kept(['2026-03-28T23:59:59Z', '2026-03-29T00:00:00Z', '2026-03-29T23:59:59Z'], { keepDaily: 2 }),
    ).toEqual({
      '2026-03-29T23:59:59Z': 'daily 2026-03-29',
      '2026-03-28T23:59:59Z': 'daily 2026-03-28',
    });
  });

  it('counts weeks by ISO 8601, across the end of a year', () => {
    expect(
      kept(['2026-12-27T12:00:00Z', '2026-12-28T12:00:00Z', '2027-01-03T12:00:00Z', '2027-01-04T12:00:00Z'], {
        keepWeekly: 9,
      }),
    ).toEqual({
      '2027-01-04T12:00:00Z': 'weekly 2027-W01',
      '2027-01-03T12:00:00Z': 'weekly 2026-W53',
      '2026-12-27T12:00:00Z': 'weekly 2026-W52',
    });
  });

  it('goes by the log, not by a clock that jumped: bogus times push nothing newer out', () => {
    expect(
      Object.keys(
        kept(['2099-01-01T00:00:00Z', '2026-01-01T00:00:00Z', '1970-01-01T00:00:00Z'], { keepLast: 2 }),
      ),
    ).toEqual(['1970-01-01T00:00:00Z', '2026-01-01T00:00:00Z']);
  });

  it('keeps months and years', () => {
    const times = [
      '2024-12-31T00:00:00Z',
      '2025-06-01T00:00:00Z',
      '2025-12-31T00:00:00Z',
      '2026-01-01T00:00:00Z',
    ];
    expect(kept(times, { keepMonthly: 2, keepYearly: 3 })).toEqual({
      '2026-01-01T00:00:00Z': 'monthly 2026-01',
      '2025-12-31T00:00:00Z': 'monthly 2025-12',
      '2024-12-31T00:00:00Z': 'yearly 2024',
    });
  });
});

describe('retention, when somebody has stolen the key of a host', () => {
  const DAY = 86_400_000;
  const start = Date.UTC(2026, 10, 1, 2);
  const good = Array.from({ length: 8 }, (_, day) => ({
    id: `good${day}`,
    seq: day + 2,
    time: new Date(start + day * DAY),
    storedAt: new Date(start + day * DAY + 1000),
    pinned: false,
    drill: undefined as { time: Date; result: 'PASS' | 'FAIL' } | undefined,
    provenByAdmin: day === 3,
  }));
  const theft = start + 7 * DAY + 3_600_000;
  /** A hundred snapshots of nothing, with whatever times suit, the last of them with a proof of its own. */
  const bogus = (timeOf: (n: number) => number) =>
    Array.from({ length: 100 }, (_, n) => ({
      ...good[0]!,
      id: `bogus${n}`,
      seq: 10 + n,
      time: new Date(timeOf(n)),
      storedAt: new Date(theft + n * 1000),
      drill: n === 99 ? { time: new Date(theft), result: 'PASS' as const } : undefined,
      provenByAdmin: false,
    }));
  const policy = {
    keepLast: 3,
    keepDaily: 7,
    keepWeekly: 4,
    keepMonthly: 12,
    floor: 3,
    keepWithinMs: 7 * DAY,
  };

  it.each([
    ['spread over the days before', (n: number) => theft - (n % 9) * DAY],
    ['far in the future', (n: number) => theft + n * 400 * DAY],
    ['of the moment', (n: number) => theft + n * 1000],
  ])('drops none of the last seven days for a hundred snapshots %s', (_, timeOf) => {
    const all = [...good, ...bogus(timeOf)];
    const kept = planRetention(all, policy).flatMap(({ id, keep }) => (keep ? [id] : []));
    expect(kept).toEqual(expect.arrayContaining(good.slice(1).map(({ id }) => id)));
  });

  it('keeps what the admin key has proven, whatever the host key says is proven', () => {
    const all = [...good, ...bogus(() => theft)];
    const decision = planRetention(all, { keepLast: 1 }).find(({ id }) => id === 'good3');
    expect(decision).toMatchObject({ keep: true, reason: 'newest proven by the admin key' });
  });

  it('a month later still has a snapshot of every day but the one of the theft', () => {
    const later = Array.from({ length: 5 }, (_, day) => ({
      ...good[0]!,
      id: `later${day}`,
      seq: 200 + day,
      time: new Date(theft + (10 + day) * DAY),
      storedAt: new Date(theft + (10 + day) * DAY),
    }));
    const all = [...good, ...bogus((n) => theft - (n % 9) * DAY), ...later];
    const kept = planRetention(all, { ...policy, keepDaily: 20 }).flatMap(({ id, keep }) =>
      keep ? [id] : [],
    );
    for (const { id } of good.slice(0, 7)) expect(kept).toContain(id);
  });
});
