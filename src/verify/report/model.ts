import type { EscapeAttempt } from '../../environment/port.ts';
import type { StepResult } from '../../restore/step.ts';

/** What a drill found. One model, five renderings: terminal, HTML, JUnit, JSON, Markdown. Holds no secret. */
export interface DrillReport {
  readonly version: 1;
  readonly id: string;
  /** PASS: every check passed or warned. FAIL: a check failed (exit 20). ERROR: the drill could not run (exit 21). */
  readonly result: 'PASS' | 'FAIL' | 'ERROR';
  readonly exitStatus: number;
  readonly lifeboatVersion: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly snapshot: {
    /** A snapshot id, or `files` for a drill of --dump/--media/--signing-key/--config. */
    readonly id: string;
    readonly takenAt: string | null;
    readonly source: string;
    readonly serverName: string;
    readonly homeserver: string;
    readonly homeserverVersion: string;
    readonly postgresVersion: string;
  };
  readonly environment: {
    readonly kind: string;
    readonly sealed: boolean;
    readonly user: string;
    readonly escapes: readonly EscapeAttempt[];
    /** Connection attempts of the restored server to anything but loopback, and packets that left: both must be 0. */
    readonly outsidePackets: number;
  };
  readonly steps: readonly StepResult[];
  /** From "go" to "federates": what the steps took, without the time of their checks. */
  readonly rtoMs: number;
  /** Age of the newest restored event when the snapshot was taken, and now. */
  readonly rpo: { readonly newestEventAt: string | null; readonly atSnapshotMs: number | null };
  readonly sizes: {
    readonly databaseBytes: number;
    readonly mediaBytes: number;
    readonly mediaFiles: number;
    readonly users: number;
    readonly rooms: number;
    readonly events: number;
  };
  /** Every setting changed to make the copy harmless, and why. */
  readonly defanged: readonly { readonly setting: string; readonly reason: string }[];
  /** Said openly: what this drill did not prove. */
  readonly notTested: readonly string[];
}
