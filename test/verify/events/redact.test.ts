import { describe, expect, it } from 'vitest';
import { eventId } from '../../../src/verify/events/hashes.ts';
import { redact } from '../../../src/verify/events/redact.ts';
import {
  ROOM_VERSIONS,
  roomVersion,
  STABLE_ROOM_VERSIONS,
} from '../../../src/verify/events/room-versions.ts';

const v = (id: string) => ROOM_VERSIONS[id]!;
const contentAfter = (type: string, content: object, version: string) =>
  redact({ type, content }, v(version))['content'];

describe('redaction by room version', () => {
  it('takes everything from a message but what identifies it', () => {
    const event = {
      type: 'm.room.message',
      sender: '@a:b',
      content: { body: 'x' },
      unsigned: { age: 1 },
      extra: 1,
      redacts: '$x',
    };
    expect(redact(event, v('10'))).toEqual({ type: 'm.room.message', sender: '@a:b', content: {} });
  });

  it('keeps origin, prev_state and membership until version 10', () => {
    const event = { type: 'X', content: {}, origin: 'o', prev_state: [], membership: 'join' };
    expect(redact(event, v('10'))).toEqual(event);
    expect(redact(event, v('11'))).toEqual({ type: 'X', content: {} });
  });

  it('keeps aliases until version 5', () => {
    expect(contentAfter('m.room.aliases', { aliases: ['#a:b'] }, '5')).toEqual({ aliases: ['#a:b'] });
    expect(contentAfter('m.room.aliases', { aliases: ['#a:b'] }, '6')).toEqual({});
  });

  it('keeps the allow list of join rules from version 8 and the authorising user from 9 on', () => {
    expect(contentAfter('m.room.join_rules', { join_rule: 'restricted', allow: [] }, '7')).toEqual({
      join_rule: 'restricted',
    });
    expect(contentAfter('m.room.join_rules', { join_rule: 'restricted', allow: [] }, '8')).toEqual({
      join_rule: 'restricted',
      allow: [],
    });
    const member = { membership: 'join', join_authorised_via_users_server: '@a:b', displayname: 'A' };
    expect(contentAfter('m.room.member', member, '8')).toEqual({ membership: 'join' });
    expect(contentAfter('m.room.member', member, '9')).toEqual({
      membership: 'join',
      join_authorised_via_users_server: '@a:b',
    });
  });

  it('keeps the whole create event, invite levels, redacts and signed invites from version 11 on', () => {
    expect(contentAfter('m.room.create', { creator: '@a:b', 'm.federate': true }, '10')).toEqual({
      creator: '@a:b',
    });
    expect(contentAfter('m.room.create', { 'm.federate': true }, '11')).toEqual({ 'm.federate': true });
    expect(contentAfter('m.room.power_levels', { invite: 1, ban: 2 }, '10')).toEqual({ ban: 2 });
    expect(contentAfter('m.room.power_levels', { invite: 1, ban: 2 }, '11')).toEqual({ invite: 1, ban: 2 });
    expect(contentAfter('m.room.redaction', { redacts: '$x', reason: 'r' }, '11')).toEqual({ redacts: '$x' });
    const invite = {
      membership: 'invite',
      third_party_invite: { display_name: 'x', signed: { token: 't' } },
    };
    expect(contentAfter('m.room.member', invite, '11')).toEqual({
      membership: 'invite',
      third_party_invite: { signed: { token: 't' } },
    });
    expect(contentAfter('m.room.member', invite, '10')).toEqual({ membership: 'invite' });
  });
});

describe('event ids by room version', () => {
  const event = { type: 'X', content: {}, event_id: '$given:domain', depth: 6 };

  it('are given by the sender in versions 1 and 2', () => {
    expect(eventId(event, v('1'))).toBe('$given:domain');
    expect(eventId({ type: 'X' }, v('2'))).toBeUndefined();
  });

  it('are the reference hash in the standard alphabet in version 3 and in the URL-safe one later', () => {
    for (let depth = 0; depth < 50; depth += 1) {
      const [third, fourth] = [eventId({ ...event, depth }, v('3'))!, eventId({ ...event, depth }, v('4'))!];
      expect(third).toMatch(/^\$[A-Za-z0-9+/]{43}$/);
      expect(fourth).toBe(third.replaceAll('+', '-').replaceAll('/', '_'));
    }
  });
});

describe('the room version table', () => {
  it('knows 1 to 12 and nothing else', () => {
    expect(STABLE_ROOM_VERSIONS).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12']);
    expect(roomVersion('13')).toBeUndefined();
    expect(roomVersion('toString')).toBeUndefined();
  });
});
