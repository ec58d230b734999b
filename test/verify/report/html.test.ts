import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { renderHtml } from '../../../src/verify/report/index.ts';
import { failReport, hostile, passReport } from './fixture.ts';
import { problemOf } from './well-formed.ts';

/** Text as a reader sees it. */
function visible(html: string): string {
  return html
    .replace(/<style>[^]*?<\/style>/, '')
    .replace(/<[^>]+>/g, ' ')
    .replaceAll('&#39;', "'")
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .replace(/\s+/g, ' ');
}

describe('the HTML report', () => {
  it('tells the verdict, the server, the figures and what was not tested', () => {
    const text = visible(renderHtml(passReport));
    expect(text).toContain('chat.example.org PASS Restored, started, and federating under its old identity.');
    expect(text).toContain('Recovery time (RTO) 1m 34s');
    expect(text).toContain('Recovery point (RPO) 2.3 s');
    expect(text).toContain('4f2a81c39d0e4b7fa6c2d8e1b7a9035c');
    for (const gap of passReport.notTested) expect(text).toContain(gap);
  });

  it('shows every check with its values, and every way out with the answer of the kernel', () => {
    const text = visible(renderHtml(failReport));
    for (const { checks } of failReport.steps) {
      for (const { id, title, observed = '' } of checks)
        for (const part of [id, title, observed]) expect(text).toContain(part);
    }
    for (const { target, observed } of failReport.environment.escapes)
      expect(text).toContain(`closed ${target} ${observed}`);
    for (const { setting, reason } of failReport.defanged) expect(text).toContain(`${setting} ${reason}`);
  });

  it('puts what failed, with expected and observed, before everything that passed', () => {
    const text = visible(renderHtml(failReport));
    const failure = text.indexOf(
      'expected 0 rows without file observed 2 rows without file local_content/aB/cD/efGhIjKlMnOpQrStUv',
    );
    expect(failure).toBeGreaterThan(0);
    expect(failure).toBeLessThan(text.indexOf('The recovery checklist'));
    expect(text).toContain('no error observed command-failed: python failed with exit status 1');
    expect(text).toContain('Recovery time (RTO) not reached');
  });

  it('opens the steps that have something to look at, and no other', () => {
    const opened = [
      ...renderHtml(failReport).matchAll(/<details open="open">\s*<summary>.*?class="title">(\d)/g),
    ];
    expect(opened.map(([, number]) => number)).toEqual(['1', '2', '3', '4']);
  });

  it('is well-formed, whatever names and findings say', () => {
    for (const report of [passReport, failReport]) {
      expect(problemOf(renderHtml(report))).toBeUndefined();
      expect(problemOf(renderHtml(hostile(report)))).toBeUndefined();
    }
  });

  it('runs and loads nothing: no script, no address, and a policy that allows its own stylesheet alone', () => {
    const html = renderHtml(hostile(failReport));
    expect(html).not.toMatch(/<(?:script|img|iframe|link|object|embed|base|form)\b/i);
    expect(html.replace(/"[^"]*"/g, '""')).not.toMatch(/<[^>]*\s(?:on[a-z]+|href|src|style)=/i);
    const style = /<style>([^]*?)<\/style>/.exec(html)![1]!;
    const hash = createHash('sha256').update(style).digest('base64');
    expect(html).toContain(`default-src 'none'; style-src 'sha256-${hash}'`.replaceAll("'", '&#39;'));
    expect(style).not.toMatch(/@import|url\(/);
  });

  it('has colours for light and dark, and a style for paper', () => {
    const html = renderHtml(passReport);
    expect(html).toContain('color-scheme: light dark');
    expect(html).toContain('@media print');
  });

  it('places the bars of the timeline within the drill, one after the other', () => {
    const bars = [
      ...renderHtml(passReport).matchAll(/class="(apply|check)" x="([\d.]+)%" width="([\d.]+)%"/g),
    ].map(([, kind, x, width]) => ({ kind, from: Number(x), to: Number(x) + Number(width) }));
    expect(bars).toHaveLength(12);
    for (const [index, bar] of bars.entries()) {
      expect(bar.to).toBeLessThanOrEqual(101);
      if (bar.kind === 'check') expect(bar.from).toBeCloseTo(bars[index - 1]!.to, 1);
    }
    expect(bars[0]!.to - bars[0]!.from).toBeCloseTo((61_420 / 140_463) * 100, 0);
  });
});
