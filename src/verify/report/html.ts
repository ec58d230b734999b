import { createHash } from 'node:crypto';
import { formatDuration } from '../../core/units.ts';
import type { Check, StepResult } from '../../restore/step.ts';
import { STYLE } from './html-style.ts';
import { timeline } from './html-timeline.ts';
import { Markup, markup } from './markup.ts';
import type { DrillReport } from './model.ts';
import {
  allChecks,
  checksWith,
  describeCounts,
  formatCount,
  formatInstant,
  formatRpo,
  formatRto,
  restoredSizes,
  shortSnapshot,
  verdict,
  type Problem,
  type Result,
} from './summary.ts';

/**
 * One self-contained file. The policy allows nothing but this very stylesheet, by its hash: even if an escape were forgotten,
 * no browser would run or load anything. Well-formed as XML too, so that a test can hold it to that.
 */
export function renderHtml(report: DrillReport): string {
  const { snapshot } = report;
  const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`;
  const page = markup`<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8"/>
  <meta http-equiv="Content-Security-Policy" content="${policy}"/>
  <meta name="viewport" content="width=device-width, initial-scale=1"/>
  <meta name="color-scheme" content="light dark"/>
  <meta name="referrer" content="no-referrer"/>
  <title>${report.result}: drill of ${snapshot.serverName}</title>
  <style>${new Markup(STYLE)}</style>
</head>
<body>
<main>
  ${banner(report)}
  ${figures(report)}
  ${problems(report)}
  <section class="card">
    <h2>Timeline <small>${formatDuration(duration(report))} in all</small></h2>
    ${timeline(report)}
  </section>
  <section class="card steps">
    <h2>The recovery checklist <small>${describeCounts(report.steps.flatMap(allChecks))}</small></h2>
    ${report.steps.map(step)}
  </section>
  ${restored(report)}
  ${isolation(report)}
  ${gaps(report)}
  <footer>lifeboat ${report.lifeboatVersion} · drill <code>${report.id}</code> · exit status ${report.exitStatus}</footer>
</main>
</body>
</html>
`;
  return page.text;
}

const TONES: Readonly<Record<DrillReport['result'], Result>> = { PASS: 'pass', FAIL: 'fail', ERROR: 'fail' };

/** A lifebuoy: whole when proven, broken when not. */
function seal(proven: boolean): Markup {
  const sign = proven
    ? markup`<path d="M33 51 l12 12 l23 -25" fill="none" stroke="currentColor" stroke-width="8" stroke-linecap="round" stroke-linejoin="round"/>`
    : markup`<path d="M36 36 l28 28 m0 -28 l-28 28" fill="none" stroke="currentColor" stroke-width="8" stroke-linecap="round"/>`;
  return markup`<svg class="seal" viewBox="0 0 100 100" aria-hidden="true"><circle cx="50" cy="50" r="41" fill="none" stroke="currentColor" stroke-width="14" opacity=".28"/><circle cx="50" cy="50" r="41" fill="none" stroke="currentColor" stroke-width="14" stroke-dasharray="32.2 32.2" stroke-dashoffset="16.1"/>${sign}</svg>`;
}

function banner(report: DrillReport): Markup {
  const { snapshot, result } = report;
  return markup`<header class="banner tone-${TONES[result]}">
    ${seal(result === 'PASS')}
    <div>
      <p class="kicker">Lifeboat restore drill</p>
      <h1>${snapshot.serverName}</h1>
      <p class="verdict"><b>${result}</b> ${verdict(report)}</p>
      <p class="when">Snapshot <code>${shortSnapshot(report)}</code> of ${formatInstant(snapshot.takenAt)}, drilled ${formatInstant(report.startedAt)}</p>
    </div>
  </header>`;
}

function figures(report: DrillReport): Markup {
  const { rpo, environment, sizes } = report;
  const sealedNote = `${environment.escapes.length} ways out tried, ${environment.escapes.filter(({ escaped }) => escaped).length} open`;
  const cells: [string, string, string][] = [
    [
      'Recovery time (RTO)',
      formatRto(report),
      report.result === 'PASS'
        ? 'from “go” to “federates”, without the proofs'
        : 'it did not get to “federates”',
    ],
    [
      'Recovery point (RPO)',
      formatRpo(report),
      rpo.newestEventAt === null
        ? 'no event in the database'
        : `newest event ${formatInstant(rpo.newestEventAt)}`,
    ],
    [
      'Events restored',
      formatCount(sizes.events),
      `${formatCount(sizes.users)} users, ${formatCount(sizes.rooms)} rooms, ${formatCount(sizes.mediaFiles)} media files`,
    ],
    ['Isolation', environment.sealed ? 'sealed' : 'NOT sealed', sealedNote],
  ];
  return markup`<dl class="figures">${cells.map(
    ([name, value, note]) => markup`
    <div class="card"><dt>${name}</dt><dd>${value}</dd><dd class="note">${note}</dd></div>`,
  )}
  </dl>`;
}

function problems(report: DrillReport): Markup {
  const found = [...checksWith(report, 'fail'), ...checksWith(report, 'warn')];
  if (found.length === 0) return markup``;
  return markup`<section class="card">
    <h2>${report.result === 'PASS' ? 'Worth knowing' : 'What did not pass'}</h2>
    ${found.map(problem)}
  </section>`;
}

function problem({ step: { number, title }, check }: Problem): Markup {
  const { expected, observed, detail = [] } = check;
  return markup`<article class="problem tone-${check.result}">
      <h3>${check.title}</h3>
      <p class="place">step ${number}, ${title} · <code>${check.id}</code>${check.result === 'warn' ? ' · warning' : ''}</p>
      <dl class="compare">${expected === undefined ? undefined : markup`<dt>expected</dt><dd>${expected}</dd>`}${observed === undefined ? undefined : markup`<dt>observed</dt><dd class="observed">${observed}</dd>`}</dl>
      ${bullets(detail)}
    </article>`;
}

function bullets(lines: readonly string[]): Markup {
  return lines.length === 0
    ? markup``
    : markup`<ul class="plain">${lines.map((line) => markup`<li>${line}</li>`)}</ul>`;
}

/** Steps with something to look at are open. */
function step(result: StepResult): Markup {
  const checks = allChecks(result);
  const open = result.result === 'fail' || result.result === 'warn' ? new Markup(' open="open"') : markup``;
  return markup`<details${open}>
      <summary>${pill(result.result)}<span class="title">${result.number} ${result.title}</span><span class="meta">${describeCounts(checks)}${result.result === 'skip' ? '' : ` · restore ${formatDuration(result.applyMs)} · proof ${formatDuration(result.checkMs)}`}</span></summary>
      <table>
        <thead><tr><th></th><th>Check</th><th>Expected and observed</th><th class="number">Time</th></tr></thead>
        <tbody>${checks.map(row)}</tbody>
      </table>
    </details>`;
}

function row(check: Check): Markup {
  const time = check.durationMs === undefined ? '' : formatDuration(check.durationMs);
  return markup`
          <tr><td class="mark">${pill(check.result)}</td><td>${check.title}<span class="id">${check.id}</span></td><td class="values">${values(check)}</td><td class="number">${time}</td></tr>`;
}

/** Equal values once. */
function values({ expected, observed }: Check): Markup {
  if (expected === undefined || expected === observed) return markup`${observed}`;
  if (observed === undefined) return markup`<span>expected</span> ${expected}`;
  return markup`<span>expected</span> ${expected}\n<span>observed</span> ${observed}`;
}

const PILLS: Readonly<Record<Result, string>> = {
  pass: 'pass',
  fail: 'fail',
  warn: 'warning',
  skip: 'skipped',
};

function pill(result: Result): Markup {
  return markup`<span class="pill tone-${result}">${PILLS[result]}</span>`;
}

function restored(report: DrillReport): Markup {
  const { snapshot } = report;
  const rows: (readonly [string, string])[] = [
    ['from', snapshot.source],
    ['snapshot', snapshot.id],
    ['homeserver', `${snapshot.homeserver} ${snapshot.homeserverVersion}`],
    ['PostgreSQL at backup', snapshot.postgresVersion],
    ...restoredSizes(report),
  ];
  return markup`<section class="card">
    <h2>What was restored</h2>
    <table><tbody>${rows.map(([name, value]) => markup`<tr><td class="soft">${name}</td><td>${value}</td></tr>`)}</tbody></table>
  </section>`;
}

function isolation({ environment, defanged }: DrillReport): Markup {
  const { escapes, outsidePackets, kind, user } = environment;
  return markup`<section class="card">
    <h2>Proof of isolation</h2>
    <p class="lead">The copy ran in a <b>${kind}</b> environment as <b>${user}</b>. <b>${formatCount(outsidePackets)}</b> packets left it. Before anything was started, these ways out were really tried:</p>
    <table>
      <thead><tr><th></th><th>Way out</th><th>What the kernel answered</th></tr></thead>
      <tbody>${escapes.map(
        ({ target, escaped, observed }) => markup`
        <tr><td class="mark"><span class="pill tone-${escaped ? 'fail' : 'pass'}">${escaped ? 'OPEN' : 'closed'}</span></td><td>${target}</td><td><code>${observed}</code></td></tr>`,
      )}</tbody>
    </table>
    ${harmless(defanged)}
  </section>`;
}

function harmless(defanged: DrillReport['defanged']): Markup {
  if (defanged.length === 0) return markup``;
  return markup`<details>
      <summary><span class="title">${defanged.length} settings changed so that the copy harms nobody</span></summary>
      <table><tbody>${defanged.map(({ setting, reason }) => markup`<tr><td><code>${setting}</code></td><td>${reason}</td></tr>`)}</tbody></table>
    </details>`;
}

function gaps({ notTested }: DrillReport): Markup {
  if (notTested.length === 0) return markup``;
  return markup`<section class="card">
    <h2>What this drill did not test</h2>
    ${bullets(notTested)}
  </section>`;
}

function duration({ startedAt, finishedAt }: DrillReport): number {
  const ms = Date.parse(finishedAt) - Date.parse(startedAt);
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}
