import { dirname, join } from 'node:path';
import { ensurePrivateDirectory, writeDurably } from '../../storage/durable-file.ts';
import { bundle, type TextFile } from './evidence.ts';
import { renderHtml } from './html.ts';
import { renderJson } from './json.ts';
import { renderJunit } from './junit.ts';
import { renderMarkdown } from './markdown.ts';
import type { DrillReport } from './model.ts';

const RENDERERS = { html: renderHtml, json: renderJson, md: renderMarkdown, junit: renderJunit } as const;
const ENDINGS = { html: 'html', json: 'json', md: 'md', junit: 'junit.xml', zip: 'zip' } as const;

/** `zip`: all the others and the logs, as evidence to be kept or sent. */
export type ReportFormat = keyof typeof ENDINGS;

export const REPORT_FORMATS = Object.keys(ENDINGS) as readonly ReportFormat[];

export interface WriteOptions {
  /** Of the restored servers, for the bundle (`collectLogs`, while they are there). */
  readonly logs?: readonly TextFile[];
}

/** Files `drill-<time>-<snapshot>.<ending>`, 0600, in the directory; resolves to their paths. Errors: `file-unwritable`, `disk-full`. */
export async function writeReports(
  report: DrillReport,
  directory: string,
  formats: readonly ReportFormat[],
  options: WriteOptions = {},
): Promise<Partial<Record<ReportFormat, string>>> {
  await ensurePrivateDirectory(directory);
  const paths: Partial<Record<ReportFormat, string>> = {};
  for (const format of formats) {
    const path = join(directory, `${baseName(report)}.${ENDINGS[format]}`);
    await writeDurably(path, await contentOf(report, format, options));
    paths[format] = path;
  }
  return paths;
}

/** One rendering to a path of the user's choice, such as CI's `--junit`. */
export async function writeReport(report: DrillReport, format: ReportFormat, path: string): Promise<void> {
  await ensurePrivateDirectory(dirname(path));
  await writeDurably(path, await contentOf(report, format, {}));
}

async function contentOf(
  report: DrillReport,
  format: ReportFormat,
  { logs = [] }: WriteOptions,
): Promise<string | Uint8Array> {
  if (format !== 'zip') return RENDERERS[format](report);
  const files = Object.entries(RENDERERS).map(([name, render]) => ({
    name: `report.${ENDINGS[name as keyof typeof RENDERERS]}`,
    body: render(report),
  }));
  return bundle([...files, ...logs.map(({ name, text }) => ({ name, body: text }))], report.finishedAt);
}

/** `drill-20261123T123001Z-4f2a81c3`: sorts by time, and no name from outside gets into a path. */
function baseName({ startedAt, snapshot }: DrillReport): string {
  const time = startedAt.replace(/\.\d+/, '').replace(/[^0-9TZ]/g, '');
  return `drill-${time}-${snapshot.id.replace(/[^0-9A-Za-z]/g, '').slice(0, 8)}`;
}
