import { LifeboatError } from '../../core/errors.ts';
import { eventId } from '../events/hashes.ts';
import { asArray, asObject, asText, type JsonObject } from '../events/json.ts';
import { roomVersion, STABLE_ROOM_VERSIONS, type RoomVersion } from '../events/room-versions.ts';
import { signEvent } from '../events/signatures.ts';
import { newEventId, reference } from './own-events.ts';
import type { JsonResponse } from './http.ts';
import type { Probe } from './probe.ts';

/** A room of the homeserver under test that the probe is in. */
export interface JoinedRoom {
  readonly roomId: string;
  readonly version: RoomVersion;
  /** State before the join, and all events that authorise it: event id -> event. */
  readonly state: ReadonlyMap<string, JsonObject>;
  readonly authChain: ReadonlyMap<string, JsonObject>;
  /** The newest event that the probe knows; the next one builds on it. */
  latest: { readonly eventId: string; readonly event: JsonObject };
  readonly join: { readonly eventId: string; readonly event: JsonObject };
}

/**
 * The join handshake (specification, server-server API, "Joining Rooms"): ask for a template, sign it, hand it in, and get
 * the room's state. Every room version is offered: the room decides.
 */
export async function joinRoom(probe: Probe, roomId: string): Promise<JoinedRoom> {
  const { version, template } = await makeJoin(probe, roomId);
  const event = signEvent(
    {
      ...template,
      ...(version.eventId === 'given' ? { event_id: newEventId(probe.identity.name) } : {}),
      origin_server_ts: probe.clock.now().getTime(),
    },
    version,
    probe.identity,
  );
  const joinId = eventId(event, version)!;
  probe.server.addRoom(roomId, version);
  probe.server.addOwnEvent(joinId, event);
  const path = `/_matrix/federation/v2/send_join/${encodeURIComponent(roomId)}/${encodeURIComponent(joinId)}`;
  const answer = expectOk(await probe.federation.call('PUT', path, event), 'send_join');
  const join = { eventId: joinId, event };
  return {
    roomId,
    version,
    state: byId(answer['state'], version),
    authChain: byId(answer['auth_chain'], version),
    join,
    latest: join,
  };
}

async function makeJoin(
  probe: Probe,
  roomId: string,
): Promise<{ version: RoomVersion; template: JsonObject }> {
  const offered = STABLE_ROOM_VERSIONS.map((id) => `ver=${id}`).join('&');
  const path = `/_matrix/federation/v1/make_join/${encodeURIComponent(roomId)}/${encodeURIComponent(probe.userId)}?${offered}`;
  const answer = expectOk(await probe.federation.call('GET', path), 'make_join');
  const version = roomVersion(asText(answer['room_version']) ?? '1');
  const template = asObject(answer['event']);
  if (version === undefined || template === undefined)
    throw new LifeboatError(
      'drill-failed',
      `make_join: no template of a known room version (${String(answer['room_version'])})`,
    );
  if (
    template['type'] !== 'm.room.member' ||
    template['state_key'] !== probe.userId ||
    template['room_id'] !== roomId
  ) {
    throw new LifeboatError(
      'drill-failed',
      'make_join: the template is not a join of the probe into this room',
    );
  }
  return { version, template };
}

/** A message of the probe, on top of what it knows of the room. */
export function composeMessage(
  probe: Probe,
  room: JoinedRoom,
  body: string,
): { eventId: string; event: JsonObject } {
  const { version, latest } = room;
  const stateOf = (type: string) =>
    [...room.state].find(([, event]) => event['type'] === type && event['state_key'] === '');
  const authorising = [
    version.roomIdIsCreateHash ? undefined : stateOf('m.room.create'),
    stateOf('m.room.power_levels'),
    [room.join.eventId, room.join.event] as const,
  ];
  const event = signEvent(
    {
      ...(version.eventId === 'given' ? { event_id: newEventId(probe.identity.name) } : {}),
      type: 'm.room.message',
      room_id: room.roomId,
      sender: probe.userId,
      content: { msgtype: 'm.text', body },
      depth: Number(latest.event['depth']) + 1,
      prev_events: [reference(latest.eventId, latest.event, version)],
      auth_events: authorising
        .filter((entry) => entry !== undefined)
        .map(([id, authEvent]) => reference(id, authEvent, version)),
      origin_server_ts: probe.clock.now().getTime(),
    },
    version,
    probe.identity,
  );
  return { eventId: eventId(event, version)!, event };
}

export function byId(events: unknown, version: RoomVersion): Map<string, JsonObject> {
  return new Map(
    asArray(events)
      .map((event) => asObject(event) ?? {})
      .map((event) => [eventId(event, version) ?? '', event]),
  );
}

export function expectOk({ status, json }: JsonResponse, what: string): JsonObject {
  if (status !== 200)
    throw new LifeboatError('drill-failed', `${what}: ${status} ${asText(json['error']) ?? ''}`.trim());
  return json;
}
