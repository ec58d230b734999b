import type { ProgressEvent } from '../../observe/index.ts';
import type { Tallies } from './tally.ts';

/** Counts faster than this are of no use to a reader of JSON lines. */
const INTERVAL_MS = 1000;

/** Each event as the fields of a JSON line, counts of each phase and lane once a second; `undefined` for those left out. */
export function createJsonProgress(
  tallies: Tallies,
  nowMs: () => number,
): (event: ProgressEvent) => Readonly<Record<string, unknown>> | undefined {
  const lastMs = new Map<string, number>();
  return (event) => {
    const { perSecond, bytesPerSecond, secondsLeft } = tallies.add(event);
    const key = `${event.phase}\n${event.lane ?? ''}`;
    if (event.message === undefined) {
      if (nowMs() - (lastMs.get(key) ?? Number.NEGATIVE_INFINITY) < INTERVAL_MS) return undefined;
      lastMs.set(key, nowMs());
    }
    return {
      ...event,
      ...(perSecond === undefined || event.done === undefined ? {} : { per_second: Math.round(perSecond) }),
      ...(bytesPerSecond === undefined || event.done === undefined
        ? {}
        : { bytes_per_second: Math.round(bytesPerSecond) }),
      ...(secondsLeft === undefined || event.done === undefined
        ? {}
        : { seconds_left: Math.round(secondsLeft) }),
    };
  };
}
