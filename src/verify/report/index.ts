/**
 * What a drill found, for everybody who has to know. `model.ts` is the one model; each rendering is a pure function of it:
 *   terminal   for the person at the keyboard: what failed comes first
 *   html       one file to look at, to mail and to print; no script, nothing loaded from anywhere
 *   junit      for CI; one suite a step, one test case a check
 *   json       for machines
 *   markdown   for issue comments and CI summaries
 * Texts in a report come from strangers (names of servers, rooms and files): each rendering escapes what its readers interpret.
 */
export { bundle, collectLogs, type BundledFile, type TextFile } from './evidence.ts';
export { renderHtml } from './html.ts';
export { renderJson } from './json.ts';
export { renderJunit } from './junit.ts';
export { renderMarkdown } from './markdown.ts';
export { Markup, markup } from './markup.ts';
export type { DrillReport } from './model.ts';
export { renderCheck, renderTerminal, type TerminalOptions } from './terminal.ts';
export { REPORT_FORMATS, writeReport, writeReports, type ReportFormat, type WriteOptions } from './write.ts';
