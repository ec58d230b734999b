import { describe, expect, it } from 'vitest';
import { renderJunit } from '../../../src/verify/report/index.ts';
import { failReport, hostile, passReport } from './fixture.ts';
import { problemOf } from './well-formed.ts';

describe('the JUnit report', () => {
  it('has a suite for each step and one for isolation, and a test case for each check', () => {
    const xml = renderJunit(passReport);
    expect([...xml.matchAll(/<testsuite name="([^"]+)"/g)].map(([, name]) => name)).toEqual([
      '1 Restore database',
      '2 Restore media',
      '3 Restore signing keys',
      '4 Verify configuration',
      '5 Start services',
      '6 Test federation',
      'Isolation',
    ]);
    for (const { id, checks } of passReport.steps) {
      for (const check of checks)
        expect(xml).toContain(`classname="drill.${id}" name="${check.id}: ${check.title}"`);
    }
    expect(xml).toMatch(/<testsuites [^>]*tests="41" failures="0" errors="0" skipped="0"/);
  });

  it('fails the checks that failed and the steps that could not be carried out, and skips the skipped', () => {
    const xml = renderJunit(failReport);
    expect(xml).toMatch(/<testsuites [^>]*failures="3" errors="0" skipped="2"/);
    expect(xml).toContain(
      '<failure type="media.rows-have-files" message="2 rows without file">expected: 0 rows without file',
    );
    expect(xml).toContain(
      '<failure type="verify-configuration.error" message="command-failed: python failed',
    );
    expect([...xml.matchAll(/<skipped /g)]).toHaveLength(2);
  });

  it('lets a warning pass, and says it', () => {
    expect(renderJunit(passReport)).toContain('<system-out>warning\nobserved: 318 one-time keys');
  });

  it('fails when something left the environment though every check passed', () => {
    const xml = renderJunit({
      ...passReport,
      result: 'FAIL',
      environment: { ...passReport.environment, outsidePackets: 3 },
    });
    expect(xml).toContain('<failure type="isolation.packets" message="3">');
  });

  it('fails when the drill could not run', () => {
    expect(renderJunit({ ...passReport, result: 'ERROR', steps: [] })).toContain('<failure type="drill.ran"');
  });

  it('is well-formed, whatever names and findings say', () => {
    for (const report of [passReport, failReport, hostile(failReport)])
      expect(problemOf(renderJunit(report))).toBeUndefined();
  });
});
