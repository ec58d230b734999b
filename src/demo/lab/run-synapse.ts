import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LifeboatError } from '../../core/errors.ts';
import { startService, type Service } from '../../exec/index.ts';
import { logEnd } from './log-end.ts';
import { endingWithUs } from './with-us.ts';

export interface RunSynapseOptions {
  /** The command that starts it: of the lab's own servers, or as `lifeboat restore` says it. */
  readonly argv: readonly string[];
  /** Working directory; standard output goes to `synapse.out` in it. */
  readonly directory: string;
  readonly clientUrl: string;
  /** Ends the waiting; a server that answers already goes on. */
  readonly signal?: AbortSignal | undefined;
}

const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 100;

/** Starts a Synapse and waits until it answers clients. Errors: `start-failed`, `interrupted`. */
export async function runSynapse(options: RunSynapseOptions): Promise<Service> {
  const { argv, directory, clientUrl, signal } = options;
  const logFile = join(directory, 'synapse.out');
  const service = await startService(endingWithUs(argv), { cwd: directory, logFile });
  let exitCode: number | undefined;
  void service.ended.then((end) => (exitCode = end.exitCode));
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!(await answers(clientUrl))) {
    if (signal?.aborted === true) {
      await service.stop();
      throw new LifeboatError('interrupted', 'interrupted');
    }
    if (exitCode !== undefined || performance.now() > deadline) {
      const how = exitCode === undefined ? 'did not answer' : `ended with status ${exitCode}`;
      await service.stop();
      throw new LifeboatError(
        'start-failed',
        `the lab's Synapse at ${clientUrl} ${how}; ${await logEnd(logFile)}`,
      );
    }
    await sleep(POLL_MS);
  }
  return service;
}

async function answers(clientUrl: string): Promise<boolean> {
  const response = await fetch(`${clientUrl}/_matrix/client/versions`).catch(() => undefined);
  await response?.arrayBuffer();
  return response?.ok === true;
}
