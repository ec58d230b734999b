/**
 * The database as it was at one instant, read without being in anybody's way: others wait for us only so long, we wait for
 * others only so long, and what failed for a reason that passes is begun again from a new snapshot.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LifeboatError, isLifeboatError } from '../core/errors.ts';
import {
  connect,
  exclusiveLocks,
  givenUp,
  guardAgainstPileUp,
  openSnapshot,
  openSnapshotsTogether,
  setbackOf,
  sourceState,
  standbyHint,
  vacuumState,
  vacuumWarning,
  type DatabaseSnapshot,
  type Setback,
} from '../database/index.ts';
import type { PostgresSession, PostgresTarget } from '../database/port.ts';
import type { Progress } from '../observe/progress.ts';
import type { Capture } from '../repository/manifest.ts';

export interface Patience {
  /** How long others may wait behind us. */
  readonly yieldAfterMs: number;
  /** How long we wait for a table, in all attempts together. */
  readonly lockTimeoutMs: number;
}

/** How often each is tried. A server that went away twice in one run is no accident. */
const ATTEMPTS: Readonly<Record<Setback, number>> = {
  'pile-up': 5,
  standby: 5,
  schema: 5,
  lock: 3,
  lost: 2,
};
const LONGEST_PAUSE_MS = 60_000;
/** A restart of PostgreSQL takes some seconds, with recovery up to minutes. */
const RECONNECT_MS = 60_000;

const SAID: Readonly<Record<Setback, string>> = {
  'pile-up': 'others waited behind the backup; it gave way, and begins again from a new snapshot',
  lock: 'a table is locked; beginning again from a new snapshot',
  standby: 'the standby cancelled the dump (conflict with recovery); beginning again from a new snapshot',
  lost: 'the connection to the database was lost; beginning again from a new snapshot',
  schema: 'the schema changed; beginning again from a new snapshot',
};

/** What a reader needs to know of one attempt. */
export interface Attempt {
  readonly snapshot: DatabaseSnapshot;
  /** Of the other databases, in their order. */
  readonly others: readonly DatabaseSnapshot[];
  /** Of the homeserver's database and the others. */
  readonly walPositions: readonly string[];
  readonly skewMs: number;
  /** Ends the readers: of the caller, or because others wait. */
  readonly signal: AbortSignal;
  /** For each table. */
  readonly lockWaitMs: number;
}

export interface Instant<T> extends AsyncDisposable {
  readonly snapshot: DatabaseSnapshot;
  readonly signal: AbortSignal;
  readonly value: T;
  readonly capture: Capture;
  /** Ends the snapshot, so that vacuum can go on. Resolves to warnings of what it held back. */
  release(): Promise<readonly string[]>;
}

/** What went wrong before, through all attempts of one backup. */
export class Setbacks {
  readonly list: Setback[] = [];

  /** Returns when it is worth another attempt, after a pause. Errors: the given one, or that it was given up. */
  async bear(error: unknown, options: CaptureOptions): Promise<void> {
    const setback = options.signal?.aborted === true || !isOfDatabase(error) ? undefined : setbackOf(error);
    if (setback === undefined) throw error;
    this.list.push(setback);
    const times = this.list.filter((earlier) => earlier === setback).length;
    if (times >= ATTEMPTS[setback]) throw await describeGivenUp(setback, this.list.length, error, options);
    const { message } = error as Error;
    options.progress({ phase: 'database', message: `${SAID[setback]} (${message})` });
    const pause =
      setback === 'pile-up' || setback === 'standby' ? options.patience.yieldAfterMs * 2 ** (times - 1) : 0;
    await sleep(
      Math.min(pause, LONGEST_PAUSE_MS),
      undefined,
      options.signal === undefined ? {} : { signal: options.signal },
    );
    if (setback === 'lost') await untilReachable(options);
  }
}

export interface CaptureOptions {
  readonly target: PostgresTarget;
  /** Further databases, whose snapshots are taken at the same time. */
  readonly others?: readonly PostgresTarget[] | undefined;
  readonly runId: string;
  readonly patience: Patience;
  readonly setbacks: Setbacks;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  /** How the snapshot is taken: by default as a dump needs it. */
  readonly open?: typeof openSnapshot;
}

/** The instant was lost after the dump. */
export class Interrupted extends Error {
  readonly capture: CaptureOptions;

  constructor(cause: unknown, capture: CaptureOptions) {
    super('the snapshot was lost', { cause });
    this.capture = capture;
  }
}

/** `read` must be able to begin again. Errors: those of `read`, `database-dump-failed` when it was given up. */
export async function captureInstant<T>(
  options: CaptureOptions,
  read: (attempt: Attempt) => Promise<T>,
): Promise<Instant<T>> {
  for (;;) {
    try {
      return await attempt(options, read);
    } catch (error) {
      await options.setbacks.bear(error, options);
    }
  }
}

async function attempt<T>(
  { target, others, runId, patience, setbacks, signal, open = openSnapshot }: CaptureOptions,
  read: (attempt: Attempt) => Promise<T>,
): Promise<Instant<T>> {
  const lockWaitMs = patience.lockTimeoutMs / ATTEMPTS.lock;
  await using held = new AsyncDisposableStack();
  const watcher = await connect(target, { applicationName: `lifeboat:${runId}:guard` });
  held.use(watcher);
  const capture = {
    ...(await sourceState(watcher)),
    attempts: setbacks.list.length + 1,
    setbacks: [...setbacks.list],
  };
  const before = await vacuumState(watcher);
  const together = held.use(
    await openSnapshotsTogether([target, ...(others ?? [])], runId, { lockTimeoutMs: lockWaitMs }, open),
  );
  const { walPositions, skewMs } = together;
  const [snapshot, ...rest] = together.snapshots as [DatabaseSnapshot, ...DatabaseSnapshot[]];
  const guard = held.use(
    guardAgainstPileUp(watcher, {
      prefix: `lifeboat:${runId}:`,
      yieldAfterMs: patience.yieldAfterMs,
      holder: snapshot,
    }),
  );
  const elsewhere = await guardElsewhere(target, others ?? [], {
    runId,
    yieldAfterMs: patience.yieldAfterMs,
  });
  held.use(elsewhere);
  const both = AbortSignal.any([
    guard.signal,
    ...elsewhere.signals,
    ...(signal === undefined ? [] : [signal]),
  ]);
  try {
    const value = await read({
      snapshot,
      others: rest,
      walPositions,
      skewMs,
      signal: both,
      lockWaitMs,
    });
    // Nothing of ours is there any more to wait for.
    await elsewhere[Symbol.asyncDispose]();
    for (const one of [guard.signal, ...elsewhere.signals]) one.throwIfAborted();
    const owned = held.move();
    return {
      snapshot,
      signal: both,
      value,
      capture,
      release: async () => {
        // The guard uses the same session, and must not take the end of the snapshot for an accident.
        await guard[Symbol.asyncDispose]();
        guard.signal.throwIfAborted();
        const warning = await vacuumWarningOf(watcher, before);
        await owned.disposeAsync();
        return warning === undefined ? [] : [warning];
      },
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  } catch (error) {
    throw await reasonOf(both, signal, error);
  }
}

interface GuardsElsewhere extends AsyncDisposable {
  readonly signals: readonly AbortSignal[];
}

/**
 * One for each further server, and for each further role, as a role may not see what sessions of others are called, nor end
 * them.
 */
async function guardElsewhere(
  target: PostgresTarget,
  others: readonly PostgresTarget[],
  { runId, yieldAfterMs }: { readonly runId: string; readonly yieldAfterMs: number },
): Promise<GuardsElsewhere> {
  const key = ({ host, port, user }: PostgresTarget) => JSON.stringify([host, port, user]);
  const distinct = new Map(others.map((other) => [key(other), other]));
  distinct.delete(key(target));
  await using held = new AsyncDisposableStack();
  const signals: AbortSignal[] = [];
  for (const other of distinct.values()) {
    const watcher = held.use(await connect(other, { applicationName: `lifeboat:${runId}:guard` }));
    const guard = held.use(guardAgainstPileUp(watcher, { prefix: `lifeboat:${runId}:`, yieldAfterMs }));
    signals.push(guard.signal);
  }
  const owned = held.move();
  return { signals, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** A session that the guard has ended says so before the guard does. */
const GUARD_SAYS_MS = 1500;

/** What a reader says when it was ended by us is not why. */
export async function reasonOf(
  both: AbortSignal,
  outer: AbortSignal | undefined,
  error: unknown,
): Promise<unknown> {
  if (!both.aborted && setbackOf(error) === 'lost')
    await sleep(GUARD_SAYS_MS, undefined, { signal: both }).catch(() => undefined);
  return both.aborted && outer?.aborted !== true ? both.reason : error;
}

async function vacuumWarningOf(
  session: PostgresSession,
  before: Awaited<ReturnType<typeof vacuumState>>,
): Promise<string | undefined> {
  return vacuumWarning(before, await vacuumState(session));
}

/** Errors of the database's own driver are no LifeboatError. */
function isOfDatabase(error: unknown): boolean {
  return (
    !(error instanceof LifeboatError) ||
    error.code === 'database-dump-failed' ||
    error.code === 'database-unreachable'
  );
}

async function describeGivenUp(
  setback: Setback,
  attempts: number,
  error: unknown,
  { target, runId }: CaptureOptions,
): Promise<unknown> {
  const { database } = target;
  const facts: { locks: readonly string[]; standby: string | undefined } = { locks: [], standby: undefined };
  try {
    await using session = await connect(target, { applicationName: `lifeboat:${runId}:why` });
    if (setback === 'lock' || setback === 'schema')
      facts.locks = await exclusiveLocks(session, `lifeboat:${runId}:`);
    if (setback === 'standby') facts.standby = await standbyHint(session);
  } catch (why) {
    if (!isLifeboatError(why)) throw why;
  }
  return givenUp(setback, attempts, error, { database, ...facts });
}

async function untilReachable({ target, runId, signal }: CaptureOptions): Promise<void> {
  const deadline = performance.now() + RECONNECT_MS;
  for (;;) {
    try {
      await (await connect(target, { applicationName: `lifeboat:${runId}:again` })).close();
      return;
    } catch (error) {
      if (performance.now() > deadline || !isLifeboatError(error, 'database-unreachable')) throw error;
    }
    await sleep(1000, undefined, signal === undefined ? {} : { signal });
  }
}
