import { randomBytes } from 'node:crypto';
import type { LabSynapse } from '../lab/index.ts';
import { concurrently } from './concurrently.ts';
import { register, type MatrixClient } from './client.ts';
import { createKeyBackup, encryptedContent, uploadDeviceKeys } from './device-keys.ts';
import { picture } from './picture.ts';

export interface WorldSize {
  readonly users: number;
  readonly messages: number;
  readonly media: number;
}

export interface Room {
  readonly kind: 'public' | 'private' | 'encrypted' | 'shared';
  readonly roomId: string;
  /** Who talks in it; of the shared room also people of the other server. */
  readonly members: readonly MatrixClient[];
}

/** Who and what there is; counts say what was made through the API. */
export interface World {
  readonly ours: readonly MatrixClient[];
  readonly theirs: readonly MatrixClient[];
  readonly rooms: readonly Room[];
  readonly media: readonly string[];
  readonly counts: {
    readonly users: number;
    readonly rooms: number;
    readonly messages: number;
    readonly media: number;
    readonly thumbnails: number;
  };
}

/** Nobody listens there: a push, or an appservice's transaction, that reached it would have left the server. */
const NOWHERE = 'http://127.0.0.1:9';
const NAMES = ['Alice', 'Bob', 'Carol', 'Dave', 'Erin', 'Frank', 'Grace', 'Heidi', 'Ivan', 'Judy'];
const THUMBNAILS = [
  { width: 96, height: 96, method: 'crop' },
  { width: 320, height: 240, method: 'scale' },
] as const;
/** Requests at a time: Synapse is one Python process, more would only wait. */
const AT_ONCE = 8;

/** An appservice registration as bridges bring it (application service specification, "Registration"). */
export function bridgeRegistration(): { readonly name: string; readonly yaml: string } {
  const token = () => randomBytes(16).toString('hex');
  const yaml = `id: demo-bridge
url: ${NOWHERE}
as_token: ${token()}
hs_token: ${token()}
sender_localpart: _demo_bridge
rate_limited: false
namespaces:
  users: [{exclusive: true, regex: "@_demo_.*"}]
  aliases: []
  rooms: []
`;
  return { name: 'demo-bridge', yaml };
}

/**
 * Fills `home`, and lets a person of `away` share a room with its people. The signal ends this, and all that these people do
 * later on. Errors: `command-failed`, `interrupted`.
 */
export async function fillWorld(
  home: LabSynapse,
  away: LabSynapse,
  size: WorldSize,
  signal?: AbortSignal,
): Promise<World> {
  const [ours, theirs] = await Promise.all([
    settle(home, names(size.users), signal),
    settle(away, ['Zoe'], signal),
  ]);
  const rooms = await makeRooms(ours, theirs, home.serverName);
  const [messages, media] = await Promise.all([talk(rooms, size.messages), share(rooms, size.media)]);
  await wearAvatar(ours[0]!);
  await regret(rooms[0]!);
  const counts = {
    users: ours.length,
    rooms: rooms.length,
    messages,
    media: media.length + 1,
    thumbnails: media.length * THUMBNAILS.length,
  };
  return { ours, theirs, rooms, media, counts };
}

/** A day later: a little of everything, so that a second backup has something new to find. */
export async function moreWorld(world: World, size: Omit<WorldSize, 'users'>): Promise<World> {
  const [messages, media] = await Promise.all([
    talk(world.rooms, size.messages),
    share(world.rooms, size.media),
  ]);
  const { counts } = world;
  return {
    ...world,
    media: [...world.media, ...media],
    counts: {
      ...counts,
      messages: counts.messages + messages,
      media: counts.media + media.length,
      thumbnails: counts.thumbnails + media.length * THUMBNAILS.length,
    },
  };
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => NAMES[index] ?? `User${index}`);
}

/** Each with a device, its keys, a key backup, and a phone that wants to be woken up. */
async function settle(
  server: LabSynapse,
  people: readonly string[],
  signal: AbortSignal | undefined,
): Promise<MatrixClient[]> {
  return concurrently(people, AT_ONCE, async (name) => {
    const { clientUrl, registrationSecret } = server;
    const client = await register(clientUrl, registrationSecret, name.toLowerCase(), name, signal);
    await uploadDeviceKeys(client);
    await createKeyBackup(client);
    await client.request('POST', '/pushers/set', {
      kind: 'http',
      app_id: 'org.example.demo',
      app_display_name: 'Demo',
      device_display_name: `${name}'s phone`,
      pushkey: `${name}-phone`,
      lang: 'en',
      data: { url: `${NOWHERE}/_matrix/push/v1/notify` },
    });
    return client;
  });
}

async function makeRooms(
  ours: readonly MatrixClient[],
  theirs: readonly MatrixClient[],
  home: string,
): Promise<Room[]> {
  const [owner, ...others] = ours as [MatrixClient, ...MatrixClient[]];
  const invite = [...others, ...theirs].map(({ account }) => account.userId);
  const local = others.map(({ account }) => account.userId);
  const encryption = {
    type: 'm.room.encryption',
    state_key: '',
    content: { algorithm: 'm.megolm.v1.aes-sha2' },
  };
  const make = async (
    kind: Room['kind'],
    options: Record<string, unknown>,
    members: readonly MatrixClient[],
  ): Promise<Room> => {
    const roomId = await owner.createRoom(options);
    // One after the other where servers differ: each join of another server is a hand-shake about the whole room.
    await concurrently(members, kind === 'shared' ? 1 : AT_ONCE, (member) => member.join(roomId, home));
    return { kind, roomId, members: [owner, ...members] };
  };
  return Promise.all([
    make(
      'public',
      {
        preset: 'public_chat',
        visibility: 'public',
        name: 'Harbour',
        topic: 'Everybody is welcome',
        room_alias_name: 'harbour',
      },
      others,
    ),
    make('private', { preset: 'private_chat', name: 'Crew', invite: local }, others),
    make(
      'encrypted',
      { preset: 'private_chat', name: 'Captains', invite: local, initial_state: [encryption] },
      others,
    ),
    make('shared', { preset: 'public_chat', name: 'Two harbours', room_alias_name: 'two-harbours', invite }, [
      ...others,
      ...theirs,
    ]),
  ]);
}

async function talk(rooms: readonly Room[], count: number): Promise<number> {
  const sent = await concurrently(Array.from({ length: count }), AT_ONCE, async (_, index) => {
    const { kind, roomId, members } = rooms[index % rooms.length]!;
    const speaker = members[Math.floor(index / rooms.length) % members.length]!;
    const text = `Message ${index + 1}: ${'the sea is calm tonight. '.repeat(1 + (index % 4))}`;
    return kind === 'encrypted'
      ? speaker.send(roomId, 'm.room.encrypted', encryptedContent(speaker, text))
      : speaker.send(roomId, 'm.room.message', { msgtype: 'm.text', body: text });
  });
  return sent.length;
}

async function share(rooms: readonly Room[], count: number): Promise<string[]> {
  const open = rooms.filter(({ kind }) => kind === 'public' || kind === 'private');
  return concurrently(Array.from({ length: count }), AT_ONCE, async (_, index) => {
    const { roomId, members } = open[index % open.length]!;
    const sender = members[index % members.length]!;
    // Every tenth comes out of a camera, 1 to 3 MB: large enough to be stored in several pieces.
    const large = index % 10 === 9;
    const [width, height] = large ? [1200, 900] : [480 + 16 * (index % 10), 360];
    const bytes = picture(width, height, index / count, large ? 300 + 10 * (index % 50) : undefined);
    const url = await sender.upload(bytes, 'image/png', `picture-${index + 1}.png`);
    for (const { width: w, height: h, method } of THUMBNAILS) await sender.thumbnail(url, w, h, method);
    await sender.send(roomId, 'm.room.message', {
      msgtype: 'm.image',
      body: `picture-${index + 1}.png`,
      url,
      info: { mimetype: 'image/png', size: bytes.length, w: width, h: height },
    });
    return url;
  });
}

async function wearAvatar(client: MatrixClient): Promise<void> {
  const url = await client.upload(picture(256, 256, 0.6), 'image/png', 'avatar.png');
  await client.request('PUT', `/profile/${encodeURIComponent(client.account.userId)}/avatar_url`, {
    avatar_url: url,
  });
}

/** A redacted message: its signature must still verify after a restore, by the redaction rules of its room version. */
async function regret({ roomId, members }: Room): Promise<void> {
  const speaker = members[0]!;
  const eventId = await speaker.send(roomId, 'm.room.message', {
    msgtype: 'm.text',
    body: 'I should not have said that',
  });
  await speaker.request(
    'PUT',
    `/rooms/${encodeURIComponent(roomId)}/redact/${encodeURIComponent(eventId)}/regret-${process.pid}`,
    { reason: 'regret' },
  );
}
