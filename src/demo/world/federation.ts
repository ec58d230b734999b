import { setTimeout as sleep } from 'node:timers/promises';
import type { MatrixClient } from './client.ts';
import type { World } from './world.ts';

export interface FederationCheck {
  readonly from: string;
  readonly to: string;
  readonly arrived: boolean;
  readonly ms: number;
}

/** After a restore the other server may still be waiting to try again: its back-off in the lab is 5 s at most. */
const ARRIVAL_TIMEOUT_MS = 60_000;
const POLL_MS = 250;

/** A message each way in the shared room: first of the other server, which wakes the restored one up, then back. */
export async function federationStillWorks(world: World): Promise<FederationCheck[]> {
  const { roomId } = world.rooms.find(({ kind }) => kind === 'shared')!;
  const [ours, theirs] = [world.ours[0]!, world.theirs[0]!];
  return [await deliver(roomId, theirs, ours), await deliver(roomId, ours, theirs)];
}

async function deliver(roomId: string, from: MatrixClient, to: MatrixClient): Promise<FederationCheck> {
  const started = performance.now();
  const eventId = await from.send(roomId, 'm.room.message', {
    msgtype: 'm.text',
    body: 'Ahoy, are you still there?',
  });
  const people = { from: from.account.userId, to: to.account.userId };
  for (;;) {
    const seen = (await to.messages(roomId)).some((event) => event['event_id'] === eventId);
    const ms = performance.now() - started;
    if (seen || ms > ARRIVAL_TIMEOUT_MS) return { ...people, arrived: seen, ms };
    await sleep(POLL_MS);
  }
}
