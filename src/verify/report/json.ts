import type { DrillReport } from './model.ts';

/** The report as it is, with a line break at the end. `schema` changes when a reader of the old one would misunderstand. */
export function renderJson(report: DrillReport): string {
  return `${JSON.stringify({ schema: 'lifeboat-drill-report/1', ...report }, null, 2)}\n`;
}
