import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Check, StepResult } from '../../src/restore/step.ts';
import {
  renderHtml,
  renderJson,
  renderJunit,
  renderMarkdown,
  renderTerminal,
  type DrillReport,
} from '../../src/verify/report/index.ts';
import { HOSTILE, passReport } from '../verify/report/fixture.ts';
import { problemOf } from '../verify/report/well-formed.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constant(HOSTILE),
  fc.constantFrom('', '2026-11-23T03:00:07.412Z', '`', '|', '&lt;'),
);
const number = fc.oneof(fc.double(), fc.integer(), fc.nat());
const result = fc.constantFrom('pass' as const, 'fail' as const, 'warn' as const, 'skip' as const);

const check: fc.Arbitrary<Check> = fc.record(
  {
    id: text,
    title: text,
    result,
    expected: text,
    observed: text,
    detail: fc.array(text),
    durationMs: number,
  },
  { requiredKeys: ['id', 'title', 'result'] },
);

const step: fc.Arbitrary<StepResult> = fc.record(
  {
    id: fc.constantFrom('restore-database' as const, 'test-federation' as const),
    number: fc.nat(),
    title: text,
    result,
    startedAt: text,
    applyMs: number,
    checkMs: number,
    checks: fc.array(check),
    error: fc.record({ code: text, message: text, hints: fc.array(text) }),
  },
  { requiredKeys: ['id', 'number', 'title', 'result', 'startedAt', 'applyMs', 'checkMs', 'checks'] },
);

const report: fc.Arbitrary<DrillReport> = fc.record({
  version: fc.constant(1 as const),
  id: text,
  result: fc.constantFrom('PASS' as const, 'FAIL' as const, 'ERROR' as const),
  exitStatus: fc.nat(),
  lifeboatVersion: text,
  startedAt: text,
  finishedAt: text,
  snapshot: fc.record({
    id: text,
    takenAt: fc.option(text),
    source: text,
    serverName: text,
    homeserver: text,
    homeserverVersion: text,
    postgresVersion: text,
  }),
  environment: fc.record({
    kind: text,
    sealed: fc.boolean(),
    user: text,
    escapes: fc.array(fc.record({ target: text, escaped: fc.boolean(), observed: text })),
    outsidePackets: number,
  }),
  steps: fc.array(step, { maxLength: 6 }),
  rtoMs: number,
  rpo: fc.record({ newestEventAt: fc.option(text), atSnapshotMs: fc.option(number) }),
  sizes: fc.record({
    databaseBytes: number,
    mediaBytes: number,
    mediaFiles: number,
    users: number,
    rooms: number,
    events: number,
  }),
  defanged: fc.array(fc.record({ setting: text, reason: text })),
  notTested: fc.array(text),
});

it('every report can be rendered, and HTML and JUnit are well-formed', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(report, (any) => {
      expect(problemOf(renderHtml(any))).toBeUndefined();
      expect(problemOf(renderJunit(any))).toBeUndefined();
      expect(JSON.parse(renderJson(any))).toMatchObject({ schema: 'lifeboat-drill-report/1' });
      expect(renderMarkdown(any)).toContain(`${any.result}: drill of `);
      expect(renderTerminal(any, { color: false, verbose: true })).not.toMatch(
        // oxlint-disable-next-line no-control-regex
        /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/,
      );
    }),
    { numRuns: 150 },
  );
});

it('the check of well-formedness sees what is not', () => {
  const html = renderHtml(passReport);
  for (const broken of [
    html.replace('</h1>', ''),
    html.replace('PASS:', 'PASS & <b>'),
    html.replace('lang="en"', 'lang=en'),
    `${html}</p>`,
    html.replace('chat', '\u0001'),
  ]) {
    expect(problemOf(broken)).toBeDefined();
  }
});
