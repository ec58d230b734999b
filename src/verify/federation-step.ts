import { setTimeout as sleep } from 'node:timers/promises';
import type { Duplex } from 'node:stream';
import type { Secret } from '../core/secret.ts';
import { connect } from '../database/index.ts';
import type { DrillCa } from '../environment/ca.ts';
import { drawSamples, type Samples } from '../homeserver/index.ts';
import type { RestoreContext } from '../restore/context.ts';
import { collectFindings, noneFound } from '../restore/findings.ts';
import type { Check, Step } from '../restore/step.ts';
import { serveDelegation, type Delegation } from './delegation.ts';
import { runFederationProbe } from './probe/index.ts';
import { peerChecks, type PeerOptions } from './peer/index.ts';

export interface FederationStepOptions {
  readonly connectFederation: () => Promise<Duplex>;
  readonly connectClient: () => Promise<Duplex>;
  readonly listen: (port: number, onConnection: (socket: Duplex) => void) => Promise<void>;
  readonly probe: { readonly name: string; readonly port: number };
  readonly ca: DrillCa;
  readonly registrationSecret: Secret;
  /** A second real homeserver; undefined: the probe alone. */
  readonly peer: PeerOptions | undefined;
  /** For a server name without a port. */
  readonly delegation: Delegation | undefined;
  /** As the next two were before any of the dump or of the homeserver ran inside. */
  readonly before: { readonly lookups: readonly string[]; readonly attempts: number };
  /** Names that something inside looked up and that do not exist there, so far. */
  readonly strayLookups: () => Promise<readonly string[]>;
  /** How often something inside wanted to send to an address outside, so far. */
  readonly attempts: () => Promise<number>;
  readonly outsidePackets: () => Promise<number>;
}

/** A restored copy that is not defanged sends pushes, mail, to-device messages and old queues within ten seconds (docs/decisions/0003). */
const QUIET_MS = 10_000;

/** Step 6: is it still itself to the rest of the federation? Changes nothing that a real restore would keep. */
export function federationStep(options: FederationStepOptions): Step<RestoreContext> {
  const state: { startedAt: number; delegation?: () => Check } = { startedAt: 0 };
  return {
    id: 'test-federation',
    number: 6,
    title: 'Test federation',
    requires: ['start-services'],
    apply: async ({ clock }) => {
      state.startedAt = clock.monotonicMs();
      if (options.delegation !== undefined)
        state.delegation = await serveDelegation(options.delegation, options.ca, options.listen);
    },
    async *check(context) {
      yield* probeChecks(context, options);
      if (options.peer !== undefined) {
        yield* peerChecks(options.peer, context);
        if (state.delegation !== undefined) yield state.delegation();
      }
      await sleep(Math.max(0, QUIET_MS - (context.clock.monotonicMs() - state.startedAt)), undefined, {
        signal: context.signal,
      });
      yield* silenceChecks(options);
    },
  };
}

async function* probeChecks(context: RestoreContext, options: FederationStepOptions): AsyncGenerator<Check> {
  const { source, found, progress } = context;
  const host = options.probe.name.split(':')[0]!;
  yield* runFederationProbe({
    serverName: source.serverName,
    publicKeys: source.publicKeys ?? found.signingKeys ?? [],
    connectFederation: options.connectFederation,
    connectClient: options.connectClient,
    listen: options.listen,
    probeName: options.probe.name,
    certificate: await options.ca.issue([host]),
    caPem: options.ca.certificatePem,
    registrationSecret: options.registrationSecret,
    samples: await samplesOf(context),
    progress: (message) => progress({ phase: 'test-federation', message }),
  });
}

async function samplesOf({ source, target }: RestoreContext): Promise<Samples> {
  await using session = await connect(target.database, { applicationName: 'lifeboat:samples' });
  return await drawSamples(session, source.serverName, source.knownMissingMedia);
}

/** What people would have received from a copy of their server: nothing. */
async function* silenceChecks(options: FederationStepOptions): AsyncGenerator<Check> {
  const strays = collectFindings();
  const before = new Set(options.before.lookups);
  for (const name of await options.strayLookups()) if (!before.has(name)) strays.add(name);
  yield noneFound(
    {
      id: 'sealed.no-lookups',
      title: 'the copy did not look for anybody outside (push, mail, federation, appservices)',
    },
    strays,
    { unit: 'names looked up' },
  );
  const attempts = (await options.attempts()) - options.before.attempts;
  yield {
    id: 'sealed.no-attempts',
    title: 'the copy did not try to reach an address outside',
    result: attempts === 0 ? 'pass' : 'fail',
    expected: '0 attempts',
    observed: `${attempts} attempts`,
  };
  const packets = await options.outsidePackets();
  yield {
    id: 'sealed.no-packets',
    title: 'no packet left the sealed environment by another interface than loopback',
    result: packets === 0 ? 'pass' : 'fail',
    expected: '0 packets',
    observed: `${packets} packets`,
  };
}
