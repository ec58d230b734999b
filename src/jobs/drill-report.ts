import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { EXIT, type ErrorCode } from '../core/errors.ts';
import type { Environment, EscapeAttempt } from '../environment/port.ts';
import type { RestoreState } from '../restore/context.ts';
import type { RestoreSource } from '../restore/source.ts';
import type { StepResult } from '../restore/step.ts';
import type { DrillReport } from '../verify/report/model.ts';
import { VERSION } from './version.ts';

export interface DrillFindings {
  readonly source: RestoreSource;
  readonly environment: Environment;
  readonly escapes: readonly EscapeAttempt[];
  readonly outsidePackets: number;
  readonly steps: readonly StepResult[];
  readonly found: RestoreState;
  readonly startedAt: Date;
  readonly finishedAt: Date;
}

/** What a drill can never show, however green it is. */
const NOT_TESTED = [
  'the real name in the real DNS, its .well-known or SRV record, and its public certificate: names resolve inside the drill only',
  'reverse proxy, load balancer and firewall',
  'appservices (bridges), pushers, e-mail, identity server, SSO and TURN: switched off so that a copy harms nobody',
  'remote media and URL previews: not part of a snapshot by default, fetched again on demand',
  'what happened after the snapshot was taken: see docs/disaster.md',
];

/** Of a deployment with workers, the copy is one process: how they talk to each other is not part of it (SYNAPSE.md section 8). */
function folded({ configFiles = [] }: RestoreState): string[] {
  const names = configFiles
    .filter(({ role }) => role === 'worker-config')
    .map(({ source }) => basename(source).replace(/\.ya?ml$/, ''));
  return names.length === 0
    ? []
    : [`workers (${names.join(', ')}), Redis and replication: the drill folds them into one process`];
}

/** Errors of the machine that drills, or of ours: they say nothing about the snapshot, and must not take away its proof. */
const SAYS_NOTHING: ReadonlySet<string> = new Set<ErrorCode>([
  'disk-full',
  'file-unwritable',
  'command-missing',
  'drill-impossible',
  'not-sealed',
  'store-unreachable',
  'store-denied',
  'internal',
]);

export function drillReport(findings: DrillFindings): DrillReport {
  const { source, environment, steps, found, startedAt, finishedAt } = findings;
  const facts = found.measured?.facts ?? {};
  const count = (name: string) => Number(facts[name] ?? 0);
  const passed =
    steps.every(({ result }) => result === 'pass' || result === 'warn') && findings.outsidePackets === 0;
  const failed = steps.filter(({ result }) => result === 'fail');
  const impossible =
    failed.length > 0 &&
    failed.every(
      ({ error, checks }) =>
        error !== undefined &&
        SAYS_NOTHING.has(error.code) &&
        checks.every(({ result }) => result !== 'fail'),
    );
  const newest = found.measured?.newestEventTs ?? null;
  return {
    version: 1,
    id: randomUUID(),
    result: passed ? 'PASS' : impossible ? 'ERROR' : 'FAIL',
    exitStatus: passed ? EXIT.ok : impossible ? EXIT.drillImpossible : EXIT.drillFailed,
    lifeboatVersion: VERSION,
    startedAt: startedAt.toISOString(),
    finishedAt: finishedAt.toISOString(),
    snapshot: {
      id: source.id,
      takenAt: source.takenAt?.toISOString() ?? null,
      source: source.description,
      serverName: source.serverName,
      homeserver: 'synapse',
      homeserverVersion: source.homeserverVersion ?? 'not recorded',
      postgresVersion: source.postgresVersion ?? 'not recorded',
    },
    environment: {
      kind: environment.kind,
      sealed: findings.escapes.every(({ escaped }) => !escaped),
      user: environment.user,
      escapes: findings.escapes,
      outsidePackets: findings.outsidePackets,
    },
    steps,
    rtoMs: steps.reduce((sum, { applyMs }) => sum + applyMs, 0),
    rpo: {
      newestEventAt: newest === null ? null : new Date(newest).toISOString(),
      atSnapshotMs:
        newest === null || source.takenAt === undefined
          ? null
          : Math.max(0, source.takenAt.getTime() - newest),
    },
    sizes: {
      databaseBytes: found.databaseBytes ?? 0,
      mediaBytes: found.mediaBytes ?? 0,
      mediaFiles: found.mediaFiles ?? 0,
      users: count('users'),
      rooms: count('rooms'),
      events: count('events'),
    },
    defanged: found.defanged ?? [],
    notTested: [...folded(found), ...NOT_TESTED],
  };
}
