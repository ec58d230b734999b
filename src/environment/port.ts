import type { Duplex } from 'node:stream';
import type { PostgresTarget } from '../database/port.ts';

/**
 * Where a restored server runs. `destroy` is called in every case; and when this process is killed, the environment
 * dies with it (bubblewrap's --die-with-parent and a process namespace), so that nothing is left but a directory, which
 * the next run sweeps.
 */
export interface Environment {
  readonly kind: 'process' | 'container' | 'host';
  /** For the report: who the restored server runs as. */
  readonly user: string;
  /** At the same absolute path inside and outside. Ours: what runs inside can write only below what was handed over. */
  readonly directory: string;
  /** Below it; working directory and HOME of what runs inside, which may write there. */
  readonly home: string;
  /** Creates namespaces and the unprivileged user's view. Errors: `drill-impossible`, `not-sealed`. */
  prepare(): Promise<void>;
  /** Real attempts to leave: TCP and UDP to public and private addresses, DNS, a route look-up. All must fail. */
  attemptEscape(): Promise<readonly EscapeAttempt[]>;
  /** Gives files below `directory` to the environment's user. */
  handOver(path: string): Promise<void>;
  /** A throw-away cluster (fsync off), reachable by Unix socket from outside as well. */
  postgres(): Promise<PostgresTarget>;
  /** The same of files that were restored below `directory`, which are handed over: started, and recovered to the target. */
  restoredPostgres(cluster: RestoredCluster): Promise<PostgresTarget>;
  /** Runs to its end. */
  exec(command: EnvironmentCommand): Promise<ExecResult>;
  /** Starts a service that goes on; its output goes to `<directory>/logs/<name>.log`. */
  run(name: string, command: EnvironmentCommand): Promise<RunningService>;
  /** A connection to 127.0.0.1:port inside. */
  connect(port: number): Promise<Duplex>;
  /** Connections made inside to 127.0.0.1:port arrive here. */
  listen(port: number, onConnection: (socket: Duplex) => void): Promise<void>;
  /** How often something inside wanted to send to an address outside, our own attempts to leave included. */
  attempts(): Promise<number>;
  /** Packets that left the namespace by any interface other than loopback (must be 0). */
  outsidePackets(): Promise<number>;
  /** Host names that something inside asked for and that do not exist there: attempts to reach the outside world. */
  strayLookups(): Promise<readonly string[]>;
  destroy(): Promise<void>;
}

/** The files of a cluster, all WAL for the target in its pg_wal. */
export interface RestoredCluster {
  readonly data: string;
  /** `15.18`: files are read by programs of the same major only. */
  readonly serverVersion: string;
  readonly superuser: string;
  /** `0/E000B28`: everything before it, nothing from it on. */
  readonly lsn: string;
  /** 8 hex digits. */
  readonly timeline: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface EnvironmentCommand {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default: none; whoever ends the environment ends the command. */
  readonly timeoutMs?: number;
}

export interface ExecResult {
  readonly exitCode: number;
  /** Cut at 1 MiB each. */
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningService {
  readonly name: string;
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<{ readonly exitCode: number }>;
  readonly logFile: string;
  stop(): Promise<void>;
}

export interface EscapeAttempt {
  /** `TCP 1.1.1.1:443` */
  readonly target: string;
  readonly escaped: boolean;
  /** What the kernel answered. */
  readonly observed: string;
}
