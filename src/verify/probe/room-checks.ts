import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../core/errors.ts';
import { formatDuration } from '../../core/units.ts';
import type { Check } from '../../restore/step.ts';
import { eventFault } from '../events/check-event.ts';
import { asArray, asObject, asText, type JsonObject } from '../events/json.ts';
import type { RoomVersion } from '../events/room-versions.ts';
import { createCanary, type Canary } from './canary.ts';
import { byId, composeMessage, expectOk, joinRoom, type JoinedRoom } from './join.ts';
import { expectThat, type Finding } from './observe.ts';
import { referencedId } from './own-events.ts';
import type { Probe } from './probe.ts';

/** How often it is looked whether a message has arrived. */
const POLL_MS = 100;

const DEFAULT_VERSIONS = ['11', '12'];

/** Can others still take part: join a room of each version, verify what they get, and talk both ways. */
export async function* roomChecks(probe: Probe): AsyncGenerator<Check> {
  const { connectClient: connect, registrationSecret, roomVersions } = probe.options;
  let canary: Canary | undefined;
  yield await probe.observe('federation.canary', 'a canary user can be made in the copy', async () => {
    canary = await createCanary({ connect, registrationSecret, timeoutMs: probe.timeoutMs });
    return { observed: canary.userId };
  });
  const wanted =
    roomVersions ??
    (canary === undefined ? DEFAULT_VERSIONS : [...new Set([...DEFAULT_VERSIONS, canary.roomVersions[0]!])]);
  for (const version of wanted) yield* oneRoom(probe, canary, version);
}

async function* oneRoom(probe: Probe, canary: Canary | undefined, version: string): AsyncGenerator<Check> {
  const observe = async (id: string, title: string, look: (canary: Canary) => Promise<Finding>) =>
    await probe.observe(`federation.${id}-v${version}`, `${title} (room version ${version})`, async () => {
      if (canary === undefined) return { result: 'skip', observed: 'there is no canary user' };
      if (!canary.roomVersions.includes(version))
        return { result: 'skip', observed: 'the server does not know this room version' };
      return await look(canary);
    });
  let room: JoinedRoom | undefined;
  const inRoom = (look: (room: JoinedRoom, canary: Canary) => Promise<Finding>) => async (user: Canary) =>
    room === undefined
      ? { result: 'skip' as const, observed: 'the probe is not in the room' }
      : await look(room, user);

  yield await observe('join', 'another server joins a room', async (user) => {
    const roomId = await user.createRoom(version);
    room = await joinRoom(probe, roomId);
    return expectThat(
      room.version.id === version,
      `in a room of version ${version}`,
      `in ${roomId}, version ${room.version.id}`,
    );
  });
  yield await observe(
    'state',
    'all state and authorising events of the room verify',
    inRoom(async (joined) => verifiedState(probe, joined)),
  );
  yield await observe(
    'history',
    'events, state and history of the room can be fetched',
    inRoom(async (joined) => await fetchHistory(probe, joined)),
  );
  yield await observe(
    'message-out',
    'a message of its user reaches the other server, signed',
    inRoom(async (joined, user) => await messageOut(probe, joined, user)),
  );
  yield await observe(
    'message-in',
    'a message of the other server reaches its user',
    inRoom(async (joined, user) => await messageIn(probe, joined, user)),
  );
}

function verifiedState(probe: Probe, room: JoinedRoom): Finding {
  const known = new Map([...room.authChain, ...room.state]);
  const faults = faultsOf(probe, known, room.version);
  for (const [id, event] of known) {
    const missing = asArray(event['auth_events'])
      .map(referencedId)
      .filter((entry) => !known.has(String(entry)));
    if (missing.length > 0) faults.push(`${id}: its authorising event ${missing.join(', ')} was not sent`);
  }
  const create = [...room.state].find(([, event]) => event['type'] === 'm.room.create');
  if (create === undefined) faults.push('there is no m.room.create');
  else if (room.version.roomIdIsCreateHash && room.roomId !== `!${create[0].slice(1)}`)
    faults.push(`the room id ${room.roomId} is not the hash of its create event ${create[0]}`);
  return expectThat(
    faults.length === 0,
    `${known.size} of ${known.size} verify`,
    faults.length === 0 ? `${known.size} of ${known.size} verify` : `${faults.length} faults`,
    faults,
  );
}

async function fetchHistory(probe: Probe, room: JoinedRoom): Promise<Finding> {
  const get = async (name: string, rest: string) =>
    expectOk(await probe.federation.call('GET', `/_matrix/federation/v1/${name}/${rest}`), name);
  const faults: string[] = [];
  const [anyId] = [...room.state.keys()];
  const single = byId((await get('event', encodeURIComponent(anyId ?? '')))['pdus'], room.version);
  if (anyId === undefined || !single.has(anyId))
    faults.push(`event: asked for ${anyId}, got ${[...single.keys()].join(', ')}`);

  const roomPath = encodeURIComponent(room.roomId);
  const joinId = encodeURIComponent(room.join.eventId);
  const stateIds = await get('state_ids', `${roomPath}?event_id=${joinId}`);
  const listed = new Set(asArray(stateIds['pdu_ids']));
  for (const id of room.state.keys()) if (!listed.has(id)) faults.push(`state_ids: ${id} is missing`);

  const past = byId((await get('backfill', `${roomPath}?v=${joinId}&limit=50`))['pdus'], room.version);
  if (past.size === 0) faults.push('backfill: nothing came');
  faults.push(...faultsOf(probe, past, room.version));
  return expectThat(
    faults.length === 0,
    'all there and verified',
    `${listed.size} state events, ${past.size} events of the past`,
    faults,
  );
}

async function messageOut(probe: Probe, room: JoinedRoom, canary: Canary): Promise<Finding> {
  const eventId = await canary.send(room.roomId, 'Does the old identity still stand?');
  const arrived = await until(probe, () =>
    probe.server.received.find((received) => received.eventId === eventId),
  );
  if (arrived === undefined) {
    const within = formatDuration(probe.timeoutMs);
    return expectThat(false, `${eventId} arrives`, `nothing arrived within ${within}`, [
      ...new Set(probe.server.refused),
    ]);
  }
  room.latest = arrived;
  return expectThat(
    arrived.fault === undefined,
    'request, event id, hash and signature verify',
    arrived.fault ?? `${eventId} verified`,
  );
}

async function messageIn(probe: Probe, room: JoinedRoom, canary: Canary): Promise<Finding> {
  const body = 'It does: another server believes it.';
  const { eventId, event } = composeMessage(probe, room, body);
  probe.server.addOwnEvent(eventId, event);
  const answer = expectOk(await probe.sendTransaction([event]), 'send');
  const refusal = asText(asObject(asObject(answer['pdus'])?.[eventId])?.['error']);
  if (refusal !== undefined) return expectThat(false, 'accepted', `refused: ${refusal}`);
  room.latest = { eventId, event };
  const seen = await until(probe, async () =>
    (await canary.messages(room.roomId)).find((message) => message['event_id'] === eventId),
  );
  return expectThat(
    asObject(seen?.['content'])?.['body'] === body,
    `${canary.userId} sees it`,
    seen === undefined ? `not seen within ${formatDuration(probe.timeoutMs)}` : `${eventId} seen`,
  );
}

/** Faults of those events that the homeserver under test must have signed. */
function faultsOf(probe: Probe, events: ReadonlyMap<string, JsonObject>, version: RoomVersion): string[] {
  const { serverName } = probe.options;
  return [...events]
    .filter(([, event]) => asText(event['sender'])?.endsWith(`:${serverName}`) === true)
    .flatMap(([id, event]) => {
      const fault = faultOf(() => eventFault(event, version, serverName, probe.peerKeys));
      return fault === undefined ? [] : [`${id} (${String(event['type'])}): ${fault}`];
    });
}

function faultOf(look: () => string | undefined): string | undefined {
  try {
    return look();
  } catch (error) {
    return messageOf(error);
  }
}

async function until<T>(
  probe: Probe,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T | undefined> {
  const deadline = probe.clock.monotonicMs() + probe.timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined || probe.clock.monotonicMs() > deadline) return found;
    await sleep(POLL_MS);
  }
}
