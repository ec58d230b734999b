import type { Evidence } from '../repository/port.ts';
import type { DrillReport } from '../verify/report/model.ts';

/** The record that makes a snapshot proven, or not; undefined when the drill says nothing about a snapshot. */
export function drillEvidence({
  id,
  result,
  snapshot,
  rtoMs,
  rpo,
  steps,
}: DrillReport): Evidence | undefined {
  if (result === 'ERROR') return undefined;
  const checks = steps.flatMap((step) => step.checks);
  const failed = steps.filter((step) => step.result === 'fail').map((step) => step.id);
  return {
    type: 'drill',
    snapshotId: snapshot.id,
    result,
    summary: {
      drill: id,
      checks: checks.length,
      failed_steps: failed.join(' '),
      rto_ms: Math.round(rtoMs),
      ...(rpo.atSnapshotMs === null ? {} : { rpo_ms: Math.round(rpo.atSnapshotMs) }),
    },
  };
}
