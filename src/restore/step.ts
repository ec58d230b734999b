/**
 * A step of the recovery checklist. The same steps run in a drill and in the real restore; only the environment differs.
 * `apply` changes the target, `check` only looks. A step that has a failed check is failed; what requires it is skipped,
 * what does not still runs, so that one drill names everything that is wrong.
 */
export interface Step<Context> {
  readonly id: StepId;
  readonly number: 1 | 2 | 3 | 4 | 5 | 6;
  readonly title: string;
  /** Steps that must not have failed before this one may run; otherwise it is skipped. */
  readonly requires: readonly StepId[];
  /** Applied again when a restore is resumed: it is quick, and later steps need what it finds. */
  readonly repeat?: boolean;
  apply(context: Context): Promise<void>;
  check(context: Context): AsyncIterable<Check>;
}

/** The six of the guide, in its order. */
export type StepId =
  | 'restore-database'
  | 'restore-media'
  | 'restore-signing-keys'
  | 'verify-configuration'
  | 'start-services'
  | 'test-federation';

/** One expectation and what was seen. Stable ids, e.g. `database.rows-equal`, `keys.fingerprint`: documented, used in JUnit. */
export interface Check {
  readonly id: string;
  readonly title: string;
  readonly result: 'pass' | 'fail' | 'warn' | 'skip';
  readonly expected?: string | undefined;
  readonly observed?: string | undefined;
  /** What to do about a failure, or more lines of findings (named tables, files, events). */
  readonly detail?: readonly string[] | undefined;
  readonly durationMs?: number | undefined;
}

export interface StepResult {
  readonly id: StepId;
  readonly number: number;
  readonly title: string;
  readonly result: 'pass' | 'fail' | 'warn' | 'skip';
  readonly startedAt: string;
  /** Time in `apply`: what a real restore would take. */
  readonly applyMs: number;
  /** Time in `check`: what the proof takes. */
  readonly checkMs: number;
  readonly checks: readonly Check[];
  /** Set when `apply` threw. */
  readonly error?:
    { readonly code: string; readonly message: string; readonly hints: readonly string[] } | undefined;
}
