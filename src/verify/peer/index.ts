/**
 * A second real homeserver in the sealed environment, as the rest of the world: it finds the restored server by its name,
 * joins one of its rooms, reads what was said before, and messages go both ways. What the probe proves by the letter of the
 * specification, this proves by the code that other servers really run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Duplex } from 'node:stream';
import { messageOf } from '../../core/errors.ts';
import type { RestoreContext } from '../../restore/context.ts';
import type { Check } from '../../restore/step.ts';
import { asObject } from '../events/json.ts';
import { createCanary, type Canary } from '../probe/canary.ts';
import { startPeer, type PeerPlace } from './start.ts';

export interface PeerOptions extends PeerPlace {
  /** To the restored server's client port. */
  readonly connectClient: () => Promise<Duplex>;
}

const REQUEST_TIMEOUT_MS = 30_000;
const ARRIVAL_TIMEOUT_MS = 20_000;
const POLL_MS = 300;

export async function* peerChecks(options: PeerOptions, context: RestoreContext): AsyncGenerator<Check> {
  const { source, progress } = context;
  const started = await attempt(
    'peer.start',
    'a second, real homeserver starts in the sealed environment',
    async () => {
      progress({ phase: 'test-federation', message: 'starting a second homeserver' });
      return startPeer(options, context);
    },
  );
  yield started.check;
  if (started.value === undefined) return;
  const [ours, theirs] = await Promise.all([
    createCanary({
      connect: options.connectClient,
      registrationSecret: options.registrationSecret,
      timeoutMs: REQUEST_TIMEOUT_MS,
    }),
    createCanary({
      connect: started.value.connectClient,
      registrationSecret: options.registrationSecret,
      timeoutMs: REQUEST_TIMEOUT_MS,
    }),
  ]);
  const roomId = await ours.createRoom(ours.roomVersions[0] ?? '11');
  const before = await ours.send(roomId, 'before the join');
  const joined = await attempt(
    'peer.join',
    `it finds ${source.serverName} by name and joins one of its rooms`,
    () => theirs.join(roomId, source.serverName),
  );
  yield joined.check;
  if (joined.check.result === 'fail') return;
  yield await arrival('peer.history', 'it reads what was said in the room before', theirs, roomId, before);
  yield await arrival(
    'peer.message-out',
    'it receives a message of the restored server',
    theirs,
    roomId,
    await ours.send(roomId, 'to the peer'),
  );
  yield await arrival(
    'peer.message-in',
    'the restored server receives a message of it',
    ours,
    roomId,
    await theirs.send(roomId, 'from the peer'),
  );
}

async function attempt<T>(
  id: string,
  title: string,
  act: () => Promise<T>,
): Promise<{ check: Check; value: T | undefined }> {
  try {
    return { value: await act(), check: { id, title, result: 'pass', observed: 'done' } };
  } catch (error) {
    return {
      value: undefined,
      check: { id, title, result: 'fail', expected: 'done', observed: messageOf(error) },
    };
  }
}

/** Federation is asynchronous: the event is looked for until it is there or the time is up. */
async function arrival(
  id: string,
  title: string,
  reader: Canary,
  roomId: string,
  eventId: string,
): Promise<Check> {
  const deadline = performance.now() + ARRIVAL_TIMEOUT_MS;
  for (;;) {
    const seen = (await reader.messages(roomId)).some((event) => asObject(event)?.['event_id'] === eventId);
    if (seen) return { id, title, result: 'pass', expected: eventId, observed: 'seen' };
    if (performance.now() > deadline)
      return {
        id,
        title,
        result: 'fail',
        expected: eventId,
        observed: `not seen within ${ARRIVAL_TIMEOUT_MS} ms`,
      };
    await sleep(POLL_MS);
  }
}
