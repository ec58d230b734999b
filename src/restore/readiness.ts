import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { LifeboatError } from '../core/errors.ts';
import { endOfForeignFile } from '../core/foreign-file.ts';
import type { RunningService } from '../environment/port.ts';
import { READINESS } from '../homeserver/index.ts';

export interface ReadinessOptions {
  /** To the homeserver's client port. */
  readonly connectClient: () => Promise<Duplex>;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

const POLL_MS = 250;
const REQUEST_TIMEOUT_MS = 5000;
const LOG_LINES = 8;
const LONGEST_LOG = 64 * 1024;

/** Waits until a started homeserver says that it is healthy. Errors: `start-failed` with the end of its log. */
export async function waitUntilReady(service: RunningService, options: ReadinessOptions): Promise<void> {
  const { clock, signal, timeoutMs } = options;
  const deadline = clock.monotonicMs() + timeoutMs;
  const state: { ended?: number } = {};
  void service.ended.then(({ exitCode }) => (state.ended = exitCode));
  while (!(await isReady(options.connectClient))) {
    signal?.throwIfAborted();
    const late = clock.monotonicMs() > deadline;
    if (state.ended !== undefined || late) {
      const how = late ? `was not ready after ${timeoutMs} ms` : `ended with status ${state.ended}`;
      throw new LifeboatError('start-failed', `the homeserver ${how}: ${await lastLines(service.logFile)}`, {
        hint: 'Run the drill with --keep and look at its logs.',
      });
    }
    await sleep(POLL_MS);
  }
}

export async function isReady(connectClient: () => Promise<Duplex>): Promise<boolean> {
  try {
    return (await getStatus(await connectClient())) === READINESS.status;
  } catch {
    return false;
  }
}

function getStatus(connection: Duplex): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost' };
    const call = request({
      path: READINESS.path,
      headers,
      createConnection: () => connection,
      timeout: REQUEST_TIMEOUT_MS,
    });
    // Connections through an environment's gate come paused, and node:http does not start them.
    call.on('socket', (socket) => socket.resume());
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', reject);
    call.on('response', (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    call.end();
  });
}

async function lastLines(logFile: string): Promise<string> {
  const text = await endOfForeignFile(logFile, LONGEST_LOG).catch(() => '');
  return text.trim().split('\n').slice(-LOG_LINES).join(' / ') || 'its log is empty';
}
