/** Time comes in from outside, so that tests can hold it. */
export interface Clock {
  now(): Date;
  /** Milliseconds from an arbitrary start that never jump: for durations only. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};
