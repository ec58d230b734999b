/**
 * The stylesheet of the HTML report. Colours follow the reader's light or dark mode; print is always light. No font, image or
 * script is loaded from anywhere.
 */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: light-dark(#f4f6f8, #0e1419);
  --card: light-dark(#ffffff, #172028);
  --line: light-dark(#dde3e9, #2a3640);
  --text: light-dark(#17212b, #e4ebf1);
  --soft: light-dark(#596775, #93a3b1);
  --track: light-dark(#eef2f5, #202c36);
  --pass: light-dark(#0b7a4b, #3ecf8e);
  --pass-fill: light-dark(#e3f5ec, #12332a);
  --fail: light-dark(#b3261e, #ff8a80);
  --fail-fill: light-dark(#fdeceb, #3b1c1e);
  --warn: light-dark(#8a5a00, #f2b84b);
  --warn-fill: light-dark(#fdf3dc, #37290f);
  --skip: light-dark(#5d6b78, #8c9baa);
  --skip-fill: light-dark(#edf0f3, #222d36);
  --apply: light-dark(#1f6fb2, #58a9e8);
  --check: light-dark(#8fc1e8, #2f5f86);
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace;
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }
h1, h2, h3, p, ul, dl, dd, figure { margin: 0; padding: 0; }
h2 { font-size: 1.05rem; margin-bottom: .8rem; }
h2 small { font-weight: 400; color: var(--soft); margin-left: .4rem; }
code { font-family: var(--mono); font-size: .86em; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.2rem 1.4rem; margin-top: 1rem; }

.banner { border-radius: .9rem; padding: 1.5rem 1.6rem 1.4rem; border: 1px solid var(--tone); background: var(--tone-fill); display: flex; gap: 1.4rem; align-items: center; }
.banner .seal { flex: none; width: 5rem; height: 5rem; color: var(--tone); }
.banner .kicker { color: var(--soft); font-size: .85rem; letter-spacing: .02em; }
.banner h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -.01em; }
.banner .verdict { font-size: 1.1rem; margin-top: .3rem; }
.banner .verdict b { color: var(--tone); letter-spacing: .04em; }
.banner .when { color: var(--soft); margin-top: .35rem; }
.tone-pass { --tone: var(--pass); --tone-fill: var(--pass-fill); }
.tone-fail { --tone: var(--fail); --tone-fill: var(--fail-fill); }
.tone-warn { --tone: var(--warn); --tone-fill: var(--warn-fill); }
.tone-skip { --tone: var(--skip); --tone-fill: var(--skip-fill); }

.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; margin-top: 1rem; }
.figures .card { margin: 0; }
.figures dt { color: var(--soft); font-size: .85rem; }
.figures dd { font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.3; }
.figures dd.note { color: var(--soft); font-size: .85rem; font-weight: 400; line-height: 1.45; margin-top: .15rem; }

.problem { border: 1px solid var(--tone); border-left-width: .3rem; border-radius: .5rem; background: var(--tone-fill); padding: .9rem 1.1rem; }
.problem + .problem { margin-top: .8rem; }
.problem h3 { font-size: 1rem; }
.problem .place { color: var(--soft); font-size: .85rem; }
.compare { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .9rem; margin-top: .5rem; }
.compare dt { color: var(--soft); }
.compare dd { font-family: var(--mono); font-size: .86rem; white-space: pre-wrap; }
.compare .observed { color: var(--tone); font-weight: 600; }
.problem ul { margin: .6rem 0 0; padding-left: 1.1rem; font-size: .9rem; }

.timeline { display: grid; grid-template-columns: fit-content(40%) 1fr max-content; gap: .45rem 1rem; align-items: center; }
.timeline svg { width: 100%; height: 1.15rem; display: block; border-radius: .3rem; background: var(--track); }
.apply { fill: var(--apply); }
.check { fill: var(--check); }
.timeline .time { color: var(--soft); font-variant-numeric: tabular-nums; font-size: .87rem; text-align: right; white-space: nowrap; }
.legend { color: var(--soft); font-size: .85rem; margin-top: .8rem; display: flex; gap: 1.3rem; flex-wrap: wrap; }
.legend svg { width: .8rem; height: .8rem; border-radius: .2rem; vertical-align: -.06rem; margin-right: .4rem; }

.pill { display: inline-block; min-width: 4.6rem; text-align: center; white-space: nowrap; padding: .05rem .55rem; border-radius: 1rem; font-size: .8rem; font-weight: 650; color: var(--tone); background: var(--tone-fill); border: 1px solid color-mix(in srgb, var(--tone) 35%, transparent); }
details { border-top: 1px solid var(--line); }
details:first-of-type { border-top: 0; }
summary { cursor: pointer; padding: .65rem 0; display: flex; gap: .9rem; align-items: baseline; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary::before { content: "\\25b8"; color: var(--soft); width: .8rem; flex: none; }
details[open] > summary::before { content: "\\25be"; }
summary .title { font-weight: 600; flex: 1; }
summary .meta { color: var(--soft); font-size: .87rem; text-align: right; }
summary:focus-visible { outline: 2px solid var(--apply); outline-offset: 2px; border-radius: .3rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
details table { margin: .1rem 0 1rem; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .82rem; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); }
td { vertical-align: top; padding: .45rem .7rem .45rem 0; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; }
td:last-child, th:last-child { padding-right: 0; }
td code { color: var(--soft); }
td .id { display: block; color: var(--soft); font-family: var(--mono); font-size: .78rem; }
td.values { font-family: var(--mono); font-size: .82rem; width: 42%; white-space: pre-wrap; }
td.values span { color: var(--soft); font-family: system-ui, sans-serif; }
td.number, th.number { text-align: right; color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
td.mark { width: 5.4rem; }
.plain { padding-left: 1.1rem; }
.plain li + li { margin-top: .25rem; }
.soft { color: var(--soft); }
.lead { margin-bottom: .8rem; }
footer { color: var(--soft); font-size: .85rem; margin-top: 1.4rem; text-align: center; }

@media (max-width: 40rem) {
  .banner { flex-direction: column; align-items: flex-start; }
  .timeline { grid-template-columns: 1fr max-content; }
  .timeline svg { grid-column: 1 / -1; grid-row: auto; }
  summary { flex-wrap: wrap; }
}
@media print {
  :root { color-scheme: light; --page: #fff; }
  @page { margin: 14mm; }
  body { font-size: 10.5pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  .card, .problem, .banner, tr { break-inside: avoid; }
  .steps { break-inside: auto; }
  summary::before { content: none; }
  details::details-content { content-visibility: visible; height: auto; }
}
`;
