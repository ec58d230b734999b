import { printableLine } from '../../core/printable.ts';
import { formatDuration } from '../../core/units.ts';
import type { StepResult } from '../../restore/step.ts';
import type { DrillReport } from './model.ts';
import {
  allChecks,
  checksWith,
  describeCounts,
  describeIsolation,
  formatInstant,
  formatRpo,
  formatRto,
  restoredSizes,
  shortSnapshot,
  verdict,
  type Problem,
  type Result,
} from './summary.ts';

const SIGNS: Readonly<Record<Result, string>> = { pass: '✅', fail: '❌', warn: '⚠️', skip: '⏭️' };
const VERDICT_SIGNS: Readonly<Record<DrillReport['result'], string>> = {
  PASS: '✅',
  FAIL: '❌',
  ERROR: '🚫',
};

/** GitHub-flavoured, for issue comments and CI summaries: verdict, steps, failures, and what was not tested. */
export function renderMarkdown(report: DrillReport): string {
  const { snapshot } = report;
  const problems = [...checksWith(report, 'fail'), ...checksWith(report, 'warn')];
  const sections = [
    `## ${VERDICT_SIGNS[report.result]} ${report.result}: drill of ${escape(snapshot.serverName)}`,
    `**${escape(verdict(report))}**`,
    `Snapshot ${code(shortSnapshot(report))} of ${escape(formatInstant(snapshot.takenAt))}, ${escape(`${snapshot.homeserver} ${snapshot.homeserverVersion}`)}, PostgreSQL ${escape(snapshot.postgresVersion)}.`,
    steps(report),
    ...problems.map(problem),
    figures(report),
    details('Not tested', report.notTested),
    details(
      'Settings changed so that the copy harms nobody',
      report.defanged.map(({ setting, reason }) => `${setting}: ${reason}`),
    ),
    `<sub>lifeboat ${escape(report.lifeboatVersion)}, drill ${code(report.id)}, ${escape(formatInstant(report.startedAt))}</sub>`,
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function steps({ steps: results }: DrillReport): string {
  const rows = results.map((step) => [
    sign(step),
    `${step.number} ${escape(step.title)}`,
    formatDuration(step.applyMs),
    formatDuration(step.checkMs),
    describeCounts(allChecks(step)),
  ]);
  return table([['', 'Step', 'Restore', 'Proof', 'Checks'], ...rows]);
}

function sign({ result }: StepResult): string {
  return SIGNS[result];
}

function problem({ step, check }: Problem): string {
  const { expected, observed, detail = [] } = check;
  return [
    `### ${SIGNS[check.result]} Step ${step.number}: ${escape(check.title)}`,
    [
      `- check ${code(check.id)}`,
      ...(expected === undefined ? [] : [`- expected: ${escape(expected)}`]),
      ...(observed === undefined ? [] : [`- observed: ${escape(observed)}`]),
      ...detail.map((line) => `- ${escape(line)}`),
    ].join('\n'),
  ].join('\n\n');
}

function figures(report: DrillReport): string {
  return table([
    ['RTO', 'RPO', ...restoredSizes(report).map(([label]) => label), 'isolation'],
    [
      formatRto(report),
      formatRpo(report),
      ...restoredSizes(report).map(([, value]) => value),
      escape(describeIsolation(report)),
    ],
  ]);
}

function details(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `<details><summary>${title} (${lines.length})</summary>\n\n${lines.map((line) => `- ${escape(line)}`).join('\n')}\n\n</details>`;
}

function table(rows: readonly (readonly string[])[]): string {
  const [heading = [], ...body] = rows.map((row) => `| ${row.join(' | ')} |`);
  return [heading, `|${' --- |'.repeat(rows[0]?.length ?? 0)}`, ...body].join('\n');
}

/**
 * Plain text: every character that Markdown gives a meaning is escaped, and GitHub's own links (`@name`, `#1`, `www.`, `://`)
 * are cut by a zero-width space, so that a report mentions nobody.
 */
function escape(text: string): string {
  return printableLine(text)
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/[\\`*_{}[\]#!|~$]|^[-+]/g, '\\$&')
    .replace(/@|\\#|:\/\/|www\./gi, '$&\u200b');
}

/** As it is, in a fence longer than any run of backticks within. */
function code(text: string): string {
  const inner = printableLine(text);
  const runs = [...inner.matchAll(/`+/g)].map(([run]) => run.length);
  const fence = '`'.repeat(1 + Math.max(0, ...runs));
  const space = runs.length === 0 ? '' : ' ';
  return inner === '' ? '' : `${fence}${space}${inner}${space}${fence}`;
}
