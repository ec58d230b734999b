/**
 * The federation probe: a small Matrix server of its own that meets the restored homeserver as any other server would.
 *
 *   identity   certificate, published keys = keys of the backup, key document signs itself
 *   queries    signed requests are answered; requests with a wrong key, without one, or for somebody else are refused
 *   rooms      join a canary room of each version, verify its state, fetch history, a message each way
 *   media      files by federation, compared with the database by size and SHA-256
 *
 * It owns no network: connections come from the environment (a tunnel into the sandbox, or loopback). Every request has
 * a time limit. It never claims one-time keys, and leaves nothing behind but a canary user and rooms in a throw-away copy.
 */
import type { Check } from '../../restore/step.ts';
import { identityChecks } from './identity-checks.ts';
import { mediaChecks } from './media-checks.ts';
import { startProbe, type FederationProbeOptions } from './probe.ts';
import { queryChecks, refusalChecks } from './query-checks.ts';
import { roomChecks } from './room-checks.ts';

export type { FederationProbeOptions, MediaSample, ProbeSamples } from './probe.ts';

/** Yields each check as it is done. Throws only when the probe itself cannot start (`listen` failed, unreadable certificate). */
export async function* runFederationProbe(options: FederationProbeOptions): AsyncGenerator<Check> {
  const probe = await startProbe(options);
  try {
    yield* identityChecks(probe);
    yield* queryChecks(probe);
    yield* refusalChecks(probe);
    yield* roomChecks(probe);
    yield* mediaChecks(probe);
  } finally {
    probe.server.close();
  }
}
