import { describe, expect, it } from 'vitest';
import { EXIT } from '../../src/core/errors.ts';
import type { Environment } from '../../src/environment/port.ts';
import { drillEvidence } from '../../src/jobs/drill-evidence.ts';
import { drillReport } from '../../src/jobs/drill-report.ts';
import type { RestoreSource } from '../../src/restore/source.ts';
import type { StepResult } from '../../src/restore/step.ts';

const PASSED: StepResult = {
  id: 'restore-database',
  number: 1,
  title: 'Restore database',
  result: 'pass',
  startedAt: '2026-11-23T12:00:00.000Z',
  applyMs: 10,
  checkMs: 5,
  checks: [{ id: 'x', title: 'x', result: 'pass' }],
};

function reportOf(...steps: StepResult[]) {
  return drillReport({
    source: { id: 'a'.repeat(32), serverName: 'example.com' } as RestoreSource,
    environment: { kind: 'process', user: 'nobody' } as unknown as Environment,
    escapes: [],
    outsidePackets: 0,
    steps: [PASSED, ...steps],
    found: {},
    startedAt: new Date(0),
    finishedAt: new Date(1000),
  });
}

const failed = (code: string): StepResult => ({
  ...PASSED,
  result: 'fail',
  checks: [],
  error: { code, message: 'it broke', hints: [] },
});

describe('the result of a drill', () => {
  it.each(['disk-full', 'command-missing', 'store-unreachable', 'internal', 'not-sealed'])(
    'whose step ended with %s is ERROR with status 21, and no evidence against the snapshot',
    (code) => {
      const report = reportOf(failed(code));
      expect(report).toMatchObject({ result: 'ERROR', exitStatus: EXIT.drillImpossible });
      expect(drillEvidence(report)).toBeUndefined();
    },
  );

  it.each(['database-restore-failed', 'content-damaged', 'repository-damaged', 'start-failed'])(
    'whose step ended with %s is FAIL with status 20, and evidence',
    (code) => {
      const report = reportOf(failed(code));
      expect(report).toMatchObject({ result: 'FAIL', exitStatus: EXIT.drillFailed });
      expect(drillEvidence(report)).toMatchObject({ result: 'FAIL', type: 'drill' });
    },
  );

  it('is FAIL when one step found something, whatever else went wrong', () => {
    const found = failed('database-restore-failed');
    expect(reportOf(found, failed('internal'))).toMatchObject({ result: 'FAIL' });
    const check = { id: 'x', title: 'x', result: 'fail' } as const;
    expect(reportOf({ ...failed('internal'), checks: [check] })).toMatchObject({ result: 'FAIL' });
  });

  it('whose steps all passed is PASS', () => {
    expect(reportOf(PASSED)).toMatchObject({ result: 'PASS', exitStatus: EXIT.ok });
  });
});
