import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { Check } from '../../restore/step.ts';

/** What one look at the server found; `pass` unless said otherwise. */
export interface Finding {
  readonly result?: Check['result'];
  readonly expected?: string;
  readonly observed?: string;
  readonly detail?: readonly string[];
}

/** Runs one check and times it. Whatever it throws is a failure with that reason: a probe never ends in the middle. */
export async function observe(
  clock: Clock,
  id: string,
  title: string,
  look: () => Promise<Finding>,
): Promise<Check> {
  const start = clock.monotonicMs();
  const finding = await look().catch((error: unknown): Finding => ({
    result: 'fail',
    observed: messageOf(error),
  }));
  return {
    id,
    title,
    ...finding,
    result: finding.result ?? 'pass',
    durationMs: Math.round(clock.monotonicMs() - start),
  };
}

/** Pass if so, fail otherwise. */
export function expectThat(
  holds: boolean,
  expected: string,
  observed: string,
  detail: readonly string[] = [],
): Finding {
  return { result: holds ? 'pass' : 'fail', expected, observed, ...(detail.length === 0 ? {} : { detail }) };
}
