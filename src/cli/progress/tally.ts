import type { ProgressEvent } from '../../observe/index.ts';

/** What is known of one phase, or one lane of it. */
export interface Tally {
  readonly phase: string;
  readonly lane: string | undefined;
  readonly message: string | undefined;
  readonly done: number | undefined;
  readonly total: number | undefined;
  readonly unit: ProgressEvent['unit'];
  readonly bytes: number | undefined;
  /** Of `done`, a second; undefined before there are two figures. */
  readonly perSecond: number | undefined;
  readonly bytesPerSecond: number | undefined;
  /** Undefined where no end is known, or nothing moves. */
  readonly secondsLeft: number | undefined;
}

export interface Tallies {
  /** Takes an event in and gives what is known now of its phase or lane. */
  add(event: ProgressEvent): Tally;
  /** Of the phase that was heard of last: itself, then its lanes in the order of their beginning. */
  current(): readonly Tally[];
}

/** A figure that follows the last half minute: fast enough for a stalled disk, slow enough to be read. */
const MEMORY_MS = 30_000;
/** Figures closer than this say nothing of a rate. */
const SHORTEST_MS = 200;

interface Moving {
  tally: Tally;
  /** Where the present rate was measured from. */
  atMs: number;
  atDone: number;
  atBytes: number;
}

/** Rates and times left of everything that goes on. */
export function createTallies(nowMs: () => number): Tallies {
  const moving = new Map<string, Moving>();
  let current = '';
  return {
    add(event) {
      if (event.phase !== current) forgetOthers(moving, event.phase);
      current = event.phase;
      const key = `${event.phase}\n${event.lane ?? ''}`;
      const next = advance(moving.get(key), event, nowMs());
      moving.set(key, next);
      return next.tally;
    },
    current: () => [...moving.values()].map(({ tally }) => tally).toSorted(wholePhaseFirst),
  };
}

/** A phase that comes back begins anew. */
function forgetOthers(moving: Map<string, Moving>, phase: string): void {
  for (const [key, { tally }] of moving) if (tally.phase !== phase) moving.delete(key);
}

function wholePhaseFirst(a: Tally, b: Tally): number {
  return Number(a.lane !== undefined) - Number(b.lane !== undefined);
}

function advance(before: Moving | undefined, event: ProgressEvent, nowMs: number): Moving {
  const { phase, lane } = event;
  const old = before?.tally;
  // Another attempt begins at nothing again.
  const again = old?.done !== undefined && event.done !== undefined && event.done < old.done;
  const counted = event.done === undefined || old === undefined || again ? undefined : old;
  const tally = {
    phase,
    lane,
    message: event.message ?? old?.message,
    done: event.done ?? old?.done,
    total: event.total ?? (again ? undefined : old?.total),
    unit: event.unit ?? old?.unit,
    bytes: event.bytes ?? (again ? undefined : old?.bytes),
  };
  const figures = { atDone: tally.done ?? 0, atBytes: tally.bytes ?? 0 };
  if (before === undefined || again)
    return { tally: { ...tally, ...NOTHING_KNOWN }, atMs: nowMs, ...figures };
  const passedMs = nowMs - before.atMs;
  if (counted === undefined || passedMs < SHORTEST_MS) {
    const { perSecond, bytesPerSecond } = before.tally;
    return { ...before, tally: { ...tally, perSecond, bytesPerSecond, secondsLeft: left(tally, perSecond) } };
  }
  const weight = 1 - Math.exp(-passedMs / MEMORY_MS);
  const rate = (from: number, to: number, known: number | undefined): number => {
    const now = ((to - from) * 1000) / passedMs;
    return known === undefined ? now : known + weight * (now - known);
  };
  const perSecond = rate(before.atDone, figures.atDone, before.tally.perSecond);
  const bytesPerSecond =
    tally.bytes === undefined
      ? undefined
      : rate(before.atBytes, figures.atBytes, before.tally.bytesPerSecond);
  return {
    tally: { ...tally, perSecond, bytesPerSecond, secondsLeft: left(tally, perSecond) },
    atMs: nowMs,
    ...figures,
  };
}

const NOTHING_KNOWN = { perSecond: undefined, bytesPerSecond: undefined, secondsLeft: undefined };

function left(
  { done, total }: { done: number | undefined; total: number | undefined },
  perSecond: number | undefined,
): number | undefined {
  if (done === undefined || total === undefined || perSecond === undefined || perSecond <= 0)
    return undefined;
  return Math.max(0, total - done) / perSecond;
}
