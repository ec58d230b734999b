import { expect, it } from 'vitest';
import { ownerCheck } from '../../src/restore/steps/restore-database.ts';

const check = { id: 'database.homeserver', title: 'it is the database of example.org' };

it('a homeserver’s database without any user is nobody’s', () => {
  expect(ownerCheck(check, { users: 0, rooms: 2, events: 9, events_local: 0 }).result).toBe('fail');
  expect(ownerCheck(check, {}).result).toBe('fail');
});

it('users without an event of their own are a warning: a new server, or one that lost its events', () => {
  expect(ownerCheck(check, { users: 1, rooms: 0, events: 0, events_local: 0 })).toMatchObject({
    result: 'warn',
    observed: '1 users, 0 rooms, 0 events, 0 of them by its own users',
  });
  expect(ownerCheck(check, { users: 1, rooms: 1, events: 5, events_local: 1 }).result).toBe('pass');
});
