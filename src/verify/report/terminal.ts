import { styleText } from 'node:util';
import { printableLine } from '../../core/printable.ts';
import { formatDuration } from '../../core/units.ts';
import type { Check } from '../../restore/step.ts';
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

export interface TerminalOptions {
  /** False where NO_COLOR is set or the output is no terminal. */
  readonly color: boolean;
  /** Every check, not only those that did not pass. */
  readonly verbose?: boolean;
}

type Style = Parameters<typeof styleText>[0];
type Paint = (style: Style, text: string) => string;

/** Words, because colour alone tells nothing to many people. */
const MARKS: Readonly<Record<Result, { readonly word: string; readonly style: Style }>> = {
  pass: { word: 'ok', style: 'green' },
  fail: { word: 'FAIL', style: ['red', 'bold'] },
  warn: { word: 'warn', style: 'yellow' },
  skip: { word: 'skip', style: 'dim' },
};

const VERDICTS: Readonly<Record<DrillReport['result'], Style>> = {
  PASS: ['green', 'bold'],
  FAIL: ['red', 'bold'],
  ERROR: ['red', 'bold'],
};

/** Verdict, what failed, the steps, and the figures; ends without a line break. */
export function renderTerminal(report: DrillReport, options: TerminalOptions): string {
  const paint = painter(options.color);
  const problems = [...checksWith(report, 'fail'), ...checksWith(report, 'warn')];
  const blocks = [
    head(report, paint),
    ...problems.map((problem) => problemLines(problem, paint)),
    stepLines(report, paint, options.verbose === true),
    figures(report),
    notTested(report, paint),
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

/** One check as it happens: a line, and what is known about a failure below it. */
export function renderCheck(check: Check, { color }: Pick<TerminalOptions, 'color'>): string[] {
  const paint = painter(color);
  const line = `${mark(check.result, paint)} ${printableLine(check.title)}`;
  return check.result === 'fail' || check.result === 'warn' ? [line, ...findings(check)] : [line];
}

function head(report: DrillReport, paint: Paint): string[] {
  const { snapshot } = report;
  return [
    `${paint(VERDICTS[report.result], report.result)}  ${paint('bold', printableLine(snapshot.serverName))}  snapshot ${printableLine(shortSnapshot(report))}, taken ${printableLine(formatInstant(snapshot.takenAt))}`,
    printableLine(verdict(report)),
  ];
}

function problemLines({ step, check }: Problem, paint: Paint): string[] {
  return [
    `${mark(check.result, paint)} step ${step.number}, ${printableLine(step.title)}: ${paint('bold', printableLine(check.title))}  ${paint('dim', printableLine(check.id))}`,
    ...findings(check),
  ];
}

function findings({ expected, observed, detail = [] }: Check): string[] {
  return [
    ...(expected === undefined ? [] : [`       expected  ${printableLine(expected)}`]),
    ...(observed === undefined ? [] : [`       observed  ${printableLine(observed)}`]),
    ...detail.map((line) => `       - ${printableLine(line)}`),
  ];
}

function stepLines({ steps }: DrillReport, paint: Paint, verbose: boolean): string[] {
  const rows = steps.map(
    (step) =>
      [
        `${step.number} ${printableLine(step.title)}`,
        formatDuration(step.applyMs),
        formatDuration(step.checkMs),
        describeCounts(allChecks(step)),
      ] as const,
  );
  const heading = ['STEP', 'RESTORE', 'PROOF', 'CHECKS'] as const;
  const width = (column: 0 | 1 | 2) => Math.max(...[heading, ...rows].map((row) => row[column].length));
  const widths = [width(0), width(1), width(2)] as const;
  const line = ([title, apply, check, counts]: readonly [string, string, string, string]) =>
    `${title.padEnd(widths[0])}  ${apply.padStart(widths[1])}  ${check.padStart(widths[2])}  ${counts}`;
  return [
    `      ${paint('dim', line(heading))}`,
    ...steps.flatMap((step, index) => [
      `${mark(step.result, paint)}  ${line(rows[index]!)}`,
      ...(verbose
        ? allChecks(step).map(
            (check) => `        ${mark(check.result, paint)} ${printableLine(check.title)}${seen(check)}`,
          )
        : []),
    ]),
  ];
}

function seen({ observed }: Check): string {
  return observed === undefined ? '' : `: ${printableLine(observed)}`;
}

function figures(report: DrillReport): string[] {
  const sizes = restoredSizes(report).map(([label, value]) => `${label} ${value}`);
  return [
    `RTO   ${formatRto(report)}${report.result === 'PASS' ? ' from "go" to "federates", without the checks' : ''}`,
    `RPO   ${formatRpo(report)} between the newest event and the snapshot`,
    `size  ${sizes.join(' · ')}`,
    `seal  ${printableLine(describeIsolation(report))}`,
  ];
}

function notTested({ notTested: gaps }: DrillReport, paint: Paint): string[] {
  return gaps.length === 0
    ? []
    : [paint('dim', 'Not tested:'), ...gaps.map((gap) => paint('dim', `  - ${printableLine(gap)}`))];
}

function mark(result: Result, paint: Paint): string {
  const { word, style } = MARKS[result];
  return paint(style, word.padEnd(4));
}

function painter(color: boolean): Paint {
  return (style, text) => (color ? styleText(style, text, { validateStream: false }) : text);
}
