import { formatDuration } from '../../core/units.ts';
import type { StepResult } from '../../restore/step.ts';
import { markup, type Markup } from './markup.ts';
import type { DrillReport } from './model.ts';

/** Where a step lies in the whole drill, in percent of its width. */
interface Bar {
  readonly step: StepResult;
  readonly from: number;
  readonly apply: number;
  readonly check: number;
}

/** Bars in the order of the checklist: what a restore takes, and what the proof takes on top. */
export function timeline(report: DrillReport): Markup {
  const rows = bars(report).map(
    ({ step, from, apply, check }) => markup`
      <span>${step.number} ${step.title}</span>
      <svg role="img" aria-label="${describe(step)}"><rect class="apply" x="${from}%" width="${apply}%" height="100%"/><rect class="check" x="${from + apply}%" width="${check}%" height="100%"/></svg>
      <span class="time">${step.result === 'skip' ? 'not run' : formatDuration(step.applyMs + step.checkMs)}</span>`,
  );
  return markup`<div class="timeline">${rows}
    </div>
    <p class="legend">
      <span><svg><rect class="apply" width="100%" height="100%"/></svg>restoring: what a real recovery would take</span>
      <span><svg><rect class="check" width="100%" height="100%"/></svg>proving: what the checks take on top</span>
    </p>`;
}

/** A step of some milliseconds is still to be seen. */
const LEAST_PERCENT = 0.35;

function bars({ steps, startedAt }: DrillReport): Bar[] {
  const start = Date.parse(startedAt);
  const spans = steps.map((step) => {
    const fromMs = amount(Date.parse(step.startedAt) - start);
    return { step, fromMs, applyMs: amount(step.applyMs), checkMs: amount(step.checkMs) };
  });
  const totalMs = Math.max(1, ...spans.map(({ fromMs, applyMs, checkMs }) => fromMs + applyMs + checkMs));
  const percent = (ms: number) => Math.round((ms / totalMs) * 10_000) / 100;
  return spans.map(({ step, fromMs, applyMs, checkMs }) => ({
    step,
    from: Math.min(percent(fromMs), 100 - LEAST_PERCENT),
    apply: applyMs === 0 ? 0 : Math.max(percent(applyMs), LEAST_PERCENT),
    check: checkMs === 0 ? 0 : Math.max(percent(checkMs), LEAST_PERCENT),
  }));
}

/** Skipped steps have no time, and a clock may have been set back. */
function amount(ms: number): number {
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

function describe({ title, applyMs, checkMs }: StepResult): string {
  return `${title}: restoring ${formatDuration(applyMs)}, proving ${formatDuration(checkMs)}`;
}
