import { expect, it } from 'vitest';
import type { StoredEventsReport } from '../../src/verify/events/verify-old-events.ts';
import { oldEventsCheck } from '../../src/verify/stored-events-check.ts';

const nothing: StoredEventsReport = {
  total: 0,
  checked: 0,
  redacted: 0,
  unverifiable: 0,
  failedCount: 0,
  failed: [],
  perSender: new Map(),
  byRoomVersion: {},
};

it('old events pass when all of them were checked', () => {
  expect(oldEventsCheck({ ...nothing, total: 5, checked: 5 }).result).toBe('pass');
});

it('a database with events of which none could be checked fails', () => {
  expect(oldEventsCheck({ ...nothing, total: 5, unverifiable: 5 })).toMatchObject({
    result: 'fail',
    observed: expect.stringContaining('0 of 5 events could be checked'),
  });
});

it('events that could not be checked are a warning with their number, and never hide a failure', () => {
  const some = { ...nothing, total: 5, checked: 3, unverifiable: 2 };
  expect(oldEventsCheck(some)).toMatchObject({
    result: 'warn',
    observed: '3 of 3 verify, of 0 users; 2 could not be checked',
  });
  expect(oldEventsCheck({ ...some, failedCount: 1, failed: [failedEvent] }).result).toBe('fail');
});

it('a server of which nobody has written anything is skipped, in words', () => {
  expect(oldEventsCheck(nothing)).toMatchObject({
    result: 'skip',
    observed: 'the database holds no event of its own users',
  });
});

const failedEvent = { eventId: '$a', roomId: '!r', sender: '@a:b', reason: 'x' };
