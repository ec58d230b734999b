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
