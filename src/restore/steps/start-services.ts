import type { Duplex } from 'node:stream';
import { LifeboatError } from '../../core/errors.ts';
import type { RunningService } from '../../environment/port.ts';
import { keyFingerprints, startArgv } from '../../homeserver/index.ts';
import type { RestoreContext } from '../context.ts';
import { same } from '../findings.ts';
import { isReady, waitUntilReady } from '../readiness.ts';
import type { Check, Step } from '../step.ts';
import { firstStartChecks, prepareFirstStart } from './first-start.ts';

/** What step 5 needs beyond the context: an environment that runs things. */
export interface Services {
  run(name: string, argv: readonly string[]): Promise<RunningService>;
  /** To the homeserver's client port. */
  connectClient(): Promise<Duplex>;
  readonly readyTimeoutMs: number;
}

/** Step 5: what the copy needs before its first start, then the start, until it says that it is ready. */
export function startServicesStep(services: Services): Step<RestoreContext> {
  const fingerprints: { before?: readonly string[] } = {};
  return {
    id: 'start-services',
    number: 5,
    title: 'Start services',
    requires: ['restore-database', 'restore-signing-keys', 'verify-configuration'],
    apply: async (context) => {
      fingerprints.before = await keysOf(context);
      await prepareFirstStart(context);
      const { launch } = context.found;
      if (launch === undefined)
        throw new LifeboatError('start-failed', 'there is no configuration to start with');
      const service = await services.run('homeserver', startArgv(launch));
      const { clock, signal } = context;
      await waitUntilReady(service, {
        connectClient: services.connectClient,
        timeoutMs: services.readyTimeoutMs,
        clock,
        signal,
      });
    },
    check: (context) => checkStarted(context, services, fingerprints.before ?? []),
  };
}

async function* checkStarted(
  context: RestoreContext,
  services: Services,
  before: readonly string[],
): AsyncGenerator<Check> {
  const ready = await isReady(services.connectClient);
  yield {
    id: 'start.ready',
    title: 'the homeserver says that it is healthy',
    result: ready ? 'pass' : 'fail',
    expected: '200 OK',
    observed: ready ? '200 OK' : 'no answer',
  };
  const after = await keysOf(context);
  yield same(
    { id: 'start.same-keys', title: 'the start changed no signing key' },
    before.join(', '),
    after.join(', '),
  );
  yield* firstStartChecks(context);
}

async function keysOf({ found }: RestoreContext): Promise<string[]> {
  const files = (found.keyFiles ?? []).filter(({ role }) => role === 'signing-key');
  return (await Promise.all(files.map(({ path }) => keyFingerprints(path)))).flat();
}
