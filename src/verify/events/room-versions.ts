/**
 * What differs between room versions for somebody who checks and makes events (specification, "Room Versions").
 * State resolution is not our business: the homeserver under test does that.
 */
export interface RoomVersion {
  readonly id: string;
  /** `given`: an id of the sender's choice, inside the event (1, 2). Otherwise `$` and the reference hash (3: standard alphabet). */
  readonly eventId: 'given' | 'base64' | 'base64url';
  /** auth_events and prev_events are pairs of an id and its hashes (1, 2) instead of ids. */
  readonly referencesCarryHashes: boolean;
  /** m.room.create names the creator in its content (to 10); since 11 its sender is the creator. */
  readonly creatorInContent: boolean;
  /** The room id is `!` and the create event's hash: that event has no room_id and is never listed in auth_events (12, MSC4291). */
  readonly roomIdIsCreateHash: boolean;
  /** Numbers are integers of canonical JSON (6 and later). Older rooms may hold floats and huge integers. */
  readonly strictNumbers: boolean;
  readonly redaction: RedactionRules;
}

interface RedactionRules {
  readonly topLevelKeys: readonly string[];
  /** Content keys kept by event type; `*`: all of them. */
  readonly contentKeys: Readonly<Record<string, readonly string[] | '*'>>;
  /** `third_party_invite.signed` of m.room.member survives (11 and later). */
  readonly keepsThirdPartySigned: boolean;
}

const KEPT_IN_ALL = [
  'event_id',
  'type',
  'room_id',
  'sender',
  'state_key',
  'content',
  'hashes',
  'signatures',
  'depth',
];
const KEPT_REFERENCES = ['prev_events', 'auth_events', 'origin_server_ts'];
const KEPT_UNTIL_10 = ['origin', 'prev_state', 'membership'];
const POWER_LEVEL_KEYS = [
  'ban',
  'events',
  'events_default',
  'kick',
  'redact',
  'state_default',
  'users',
  'users_default',
];

export const ROOM_VERSIONS: Readonly<Record<string, RoomVersion>> = Object.fromEntries(
  Array.from({ length: 12 }, (_, index) => index + 1).map((number) => [String(number), describe(number)]),
);

/** All stable versions, in order: what the probe offers in make_join. */
export const STABLE_ROOM_VERSIONS: readonly string[] = Object.keys(ROOM_VERSIONS);

export function roomVersion(id: string): RoomVersion | undefined {
  return Object.hasOwn(ROOM_VERSIONS, id) ? ROOM_VERSIONS[id] : undefined;
}

function describe(number: number): RoomVersion {
  return {
    id: String(number),
    eventId: number <= 2 ? 'given' : number === 3 ? 'base64' : 'base64url',
    referencesCarryHashes: number <= 2,
    creatorInContent: number <= 10,
    roomIdIsCreateHash: number >= 12,
    strictNumbers: number >= 6,
    redaction: redactionRules(number),
  };
}

function redactionRules(number: number): RedactionRules {
  const updated = number >= 11;
  return {
    topLevelKeys: [...KEPT_IN_ALL, ...KEPT_REFERENCES, ...(updated ? [] : KEPT_UNTIL_10)],
    contentKeys: {
      'm.room.create': updated ? '*' : ['creator'],
      'm.room.member': ['membership', ...(number >= 9 ? ['join_authorised_via_users_server'] : [])],
      'm.room.join_rules': ['join_rule', ...(number >= 8 ? ['allow'] : [])],
      'm.room.power_levels': [...POWER_LEVEL_KEYS, ...(updated ? ['invite'] : [])],
      'm.room.history_visibility': ['history_visibility'],
      ...(number <= 5 ? { 'm.room.aliases': ['aliases'] } : {}),
      ...(updated ? { 'm.room.redaction': ['redacts'] } : {}),
    },
    keepsThirdPartySigned: updated,
  };
}
