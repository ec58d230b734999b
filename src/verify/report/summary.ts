import { formatBytes, formatDuration } from '../../core/units.ts';
import type { Check, StepResult } from '../../restore/step.ts';
import type { DrillReport } from './model.ts';

/** What several renderings say in the same words. */

export type Result = Check['result'];

export interface Problem {
  readonly step: StepResult;
  readonly check: Check;
}

/** Checks of one result, in the order of the checklist; what made `apply` throw counts as a failed check. */
export function checksWith(report: DrillReport, result: Result): Problem[] {
  return report.steps
    .flatMap((step) => allChecks(step).map((check) => ({ step, check })))
    .filter(({ check }) => check.result === result);
}

/** With the error of a step that could not be carried out as its first check. */
export function allChecks(step: StepResult): readonly Check[] {
  if (step.error === undefined) return step.checks;
  const { code, message, hints } = step.error;
  return [
    {
      id: `${step.id}.error`,
      title: 'the step could be carried out',
      result: 'fail',
      expected: 'no error',
      observed: `${code}: ${message}`,
      detail: hints,
    },
    ...step.checks,
  ];
}

export function countResults(checks: readonly Check[]): Record<Result, number> {
  const counts = { pass: 0, fail: 0, warn: 0, skip: 0 };
  for (const { result } of checks) counts[result] += 1;
  return counts;
}

/** `12 passed, 1 failed` */
export function describeCounts(checks: readonly Check[]): string {
  const { pass, fail, warn, skip } = countResults(checks);
  const words: [number, string][] = [
    [fail, 'failed'],
    [warn, warn === 1 ? 'warning' : 'warnings'],
    [pass, 'passed'],
    [skip, 'skipped'],
  ];
  const said = words.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  return said.length === 0 ? 'no checks' : said.join(', ');
}

/** One sentence that is true without further reading. */
export function verdict(report: DrillReport): string {
  const failed = checksWith(report, 'fail');
  switch (report.result) {
    case 'PASS':
      return 'Restored, started, and federating under its old identity.';
    case 'FAIL': {
      if (failed.length === 0) return 'Something left the sealed environment.';
      const steps = [
        ...new Set(failed.map(({ step }) => `step ${step.number} (${step.title.toLowerCase()})`)),
      ];
      return `${failed.length} ${failed.length === 1 ? 'check' : 'checks'} failed in ${joinWords(steps)}. Do not rely on this snapshot.`;
    }
    case 'ERROR':
      return 'The drill could not run: nothing is known about this snapshot.';
  }
}

function joinWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** `2026-11-23T12:30:01.123Z` -> `2026-11-23 12:30:01 UTC`; what is no time stays as it is. */
export function formatInstant(iso: string | null): string {
  if (iso === null) return 'unknown';
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z$/.exec(iso);
  return match === null ? iso : `${match[1]} ${match[2]} UTC`;
}

export function formatRpo({ rpo }: DrillReport): string {
  return rpo.atSnapshotMs === null ? 'unknown' : formatDuration(rpo.atSnapshotMs);
}

/** Time to recover means nothing for a server that did not recover. */
export function formatRto({ result, rtoMs }: DrillReport): string {
  return result === 'PASS' ? formatDuration(rtoMs) : 'not reached';
}

/** `4f2a81c3`; `files` stays. */
export function shortSnapshot({ snapshot }: DrillReport): string {
  return /^[0-9a-f]{16,}$/.test(snapshot.id) ? snapshot.id.slice(0, 8) : snapshot.id;
}

export function formatCount(count: number): string {
  return count.toLocaleString('en');
}

/** Label and value of what was restored. */
export function restoredSizes({ sizes }: DrillReport): readonly (readonly [string, string])[] {
  return [
    ['database', formatBytes(sizes.databaseBytes)],
    ['media', `${formatCount(sizes.mediaFiles)} files, ${formatBytes(sizes.mediaBytes)}`],
    ['users', formatCount(sizes.users)],
    ['rooms', formatCount(sizes.rooms)],
    ['events', formatCount(sizes.events)],
  ];
}

export function describeIsolation({ environment }: DrillReport): string {
  const escaped = environment.escapes.filter((attempt) => attempt.escaped);
  if (escaped.length > 0)
    return `NOT sealed: ${joinWords(escaped.map(({ target }) => target))} could be reached`;
  const packets = `${formatCount(environment.outsidePackets)} packets left`;
  if (!environment.sealed) return `not sealed (${environment.kind} environment), ${packets}`;
  return `sealed: ${environment.escapes.length} attempts to leave failed, ${packets}`;
}
