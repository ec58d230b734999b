import type { Check, StepResult } from '../../restore/step.ts';
import { markup, type Markup } from './markup.ts';
import type { DrillReport } from './model.ts';
import { allChecks, countResults, verdict } from './summary.ts';

interface Suite {
  readonly name: string;
  readonly className: string;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly checks: readonly Check[];
}

/**
 * JUnit XML as GitLab, Jenkins and GitHub's reporters read it: a suite a step, a test case a check. A check that only warns
 * passes, and says so in its output. Isolation is a suite of its own.
 */
export function renderJunit(report: DrillReport): string {
  const suites = [...report.steps.map(suiteOf), isolation(report)];
  const counts = countResults(suites.flatMap(({ checks }) => checks));
  const total = counts.pass + counts.fail + counts.warn + counts.skip;
  const { snapshot, environment } = report;
  const properties = {
    result: report.result,
    verdict: verdict(report),
    server_name: snapshot.serverName,
    snapshot: snapshot.id,
    snapshot_taken_at: snapshot.takenAt ?? '',
    homeserver: `${snapshot.homeserver} ${snapshot.homeserverVersion}`,
    postgres: snapshot.postgresVersion,
    environment: environment.kind,
    lifeboat: report.lifeboatVersion,
    rto_ms: String(report.rtoMs),
    rpo_ms: String(report.rpo.atSnapshotMs ?? ''),
  };
  const document = markup`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="lifeboat drill ${snapshot.serverName}" tests="${total}" failures="${counts.fail}" errors="0" skipped="${counts.skip}" time="${seconds(sum(suites))}">
${suites.map((suite) => renderSuite(suite, properties))}</testsuites>
`;
  return document.text;
}

function suiteOf(step: StepResult): Suite {
  return {
    name: `${step.number} ${step.title}`,
    className: `drill.${step.id}`,
    startedAt: step.startedAt,
    durationMs: step.applyMs + step.checkMs,
    checks: allChecks(step),
  };
}

function isolation({ environment, startedAt, result }: DrillReport): Suite {
  const { escapes, outsidePackets } = environment;
  const ran: Check = {
    id: 'drill.ran',
    title: 'the drill could run',
    result: result === 'ERROR' ? 'fail' : 'pass',
  };
  const packets: Check = {
    id: 'isolation.packets',
    title: 'no packet left the environment',
    result: outsidePackets === 0 ? 'pass' : 'fail',
    expected: '0',
    observed: String(outsidePackets),
  };
  const attempts = escapes.map(({ target, escaped, observed }): Check => ({
    id: 'isolation.escape',
    title: `${target} cannot be reached`,
    result: escaped ? 'fail' : 'pass',
    expected: 'no way out',
    observed,
  }));
  return {
    name: 'Isolation',
    className: 'drill.isolation',
    startedAt,
    durationMs: 0,
    checks: [ran, packets, ...attempts],
  };
}

function renderSuite(
  { name, className, startedAt, durationMs, checks }: Suite,
  properties: Readonly<Record<string, string>>,
): Markup {
  const { fail, skip } = countResults(checks);
  return markup`  <testsuite name="${name}" tests="${checks.length}" failures="${fail}" errors="0" skipped="${skip}" time="${seconds(durationMs)}" timestamp="${startedAt}">
    <properties>
${Object.entries(properties).map(([key, value]) => markup`      <property name="${key}" value="${value}"/>\n`)}    </properties>
${checks.map((check) => renderCase(check, className))}  </testsuite>
`;
}

function renderCase(check: Check, className: string): Markup {
  const outcome = outcomeOf(check);
  return markup`    <testcase classname="${className}" name="${`${check.id}: ${check.title}`}" time="${seconds(check.durationMs ?? 0)}">${outcome}</testcase>\n`;
}

function outcomeOf(check: Check): Markup {
  const lines = describe(check).join('\n');
  switch (check.result) {
    case 'fail':
      return markup`<failure type="${check.id}" message="${check.observed ?? check.title}">${lines}</failure>`;
    case 'skip':
      return markup`<skipped message="${check.observed ?? check.title}"/>`;
    case 'warn':
      return markup`<system-out>${`warning\n${lines}`}</system-out>`;
    case 'pass':
      return markup`${lines === '' ? undefined : markup`<system-out>${lines}</system-out>`}`;
  }
}

function describe({ expected, observed, detail = [] }: Check): string[] {
  return [
    ...(expected === undefined ? [] : [`expected: ${expected}`]),
    ...(observed === undefined ? [] : [`observed: ${observed}`]),
    ...detail,
  ];
}

function sum(suites: readonly Suite[]): number {
  return suites.reduce((total, { durationMs }) => total + durationMs, 0);
}

function seconds(ms: number): string {
  return (Number.isFinite(ms) ? Math.max(0, ms) / 1000 : 0).toFixed(3);
}
