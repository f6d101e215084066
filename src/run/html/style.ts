/** One colour for data, one for what to look at; the rest is paper and ink. Print is always light. */
const COLOURS = `
:root {
  --paper: #fbfaf8; --card: #fff; --inset: #eef1f6;
  --ink: #1c1b1a; --muted: #67625c; --rule: #e3e0db; --others: #d6d2cb;
  --data: #2a5b8b; --band: #dce6f0; --look: #b4541f;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #16171a; --card: #1d1e22; --inset: #22252b;
    --ink: #e9e7e3; --muted: #a19b93; --rule: #2d2e33; --others: #3d3e44;
    --data: #7caee2; --band: #24344a; --look: #e8935c;
  }
}
`;

const PAGE = `
*, ::before, ::after { box-sizing: border-box; }
:root { color-scheme: light dark; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 0.9375rem/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: break-word; -webkit-text-size-adjust: 100%;
}
main, footer { max-width: 68.5rem; margin: 0 auto; padding: 0 clamp(1.25rem, 5vw, 3.6rem); }
main { padding-top: 3rem; }
footer { padding-top: 3rem; padding-bottom: 3rem; color: var(--muted); font-size: 0.8125rem; }
section { margin-top: 3.5rem; }
code, pre { font-family: ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
code { font-size: 0.92em; overflow-wrap: anywhere; }
h1, h2, h3, p, dl, dd, ul, figure, pre { margin: 0; }
h1 { font-size: clamp(1.5rem, 5vw, 1.9rem); line-height: 1.2; letter-spacing: -0.01em; margin: 0.3rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.125rem; line-height: 1.3; }
h3 { font-size: 0.9375rem; margin: 1.9rem 0 0.3rem; }
.eyebrow, .lead, figcaption, caption { color: var(--muted); }
.eyebrow { font-size: 0.875rem; overflow-wrap: anywhere; }
.lead { font-size: 0.875rem; margin-top: 0.25rem; max-width: 52rem; }
.lead code { color: var(--ink); }
.verdict { font-size: clamp(1rem, 3vw, 1.2rem); line-height: 1.5; max-width: 50rem; }
.look { color: var(--look); }
:focus-visible { outline: 2px solid var(--data); outline-offset: 2px; border-radius: 3px; }
@media screen and (min-width: 40rem) { :is(.verdict, .lead, .bars, .modules) wbr { display: none; } }
ul { padding-left: 1.1rem; margin-top: 0.75rem; max-width: 52rem; }
li + li { margin-top: 0.3rem; }
.warning b { color: var(--look); }
pre {
  margin-top: 0.9rem; padding: 0.9rem 1rem; background: var(--inset); border-radius: 8px;
  font-size: 0.8125rem; white-space: pre-wrap;
}
pre + .lead { margin-top: 0.75rem; }
`;

const CARDS = `
.cards {
  display: grid; grid-template-columns: repeat(4, 1fr); gap: 1px; margin-top: 1.9rem;
  background: var(--rule); border: 1px solid var(--rule); border-radius: 9px; overflow: hidden;
}
.cards > div { background: var(--card); padding: 1.1rem 1.25rem; }
.cards dt, .cards span { color: var(--muted); font-size: 0.8125rem; }
.cards strong { display: block; font-size: clamp(1.25rem, 2.6vw, 1.6rem); line-height: 1.4; letter-spacing: -0.01em; white-space: nowrap; }
@media screen and (max-width: 52rem) {
  .cards { grid-template-columns: 1fr 1fr; }
  .cards > div { padding: 0.9rem; }
}
`;

const PLOTS = `
figure.panels > figcaption { font-size: 0.875rem; margin-top: 1.25rem; max-width: 52rem; }
.panels > div, div.panels { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 1.5rem 1.25rem; margin-top: 1.25rem; }
.panels figure { display: flex; flex-direction: column; justify-content: space-between; }
.panels figure figcaption { font-size: 0.8125rem; line-height: 1.4; margin-bottom: 0.35rem; overflow-wrap: anywhere; }
.panels b, .panels code { color: var(--ink); font-weight: 600; }
.panels span { display: block; }
.panels svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 10px; }
@media screen and (max-width: 52rem) {
  .panels > div, div.panels { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@media screen and (max-width: 30rem) { svg text { font-size: 13px; } }
.hidden-states > div { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.5rem 2.5rem; }
.hidden-states + .lead { margin-top: 2.25rem; }
@media screen and (max-width: 40rem) { .hidden-states > div { grid-template-columns: minmax(0, 1fr); } }
.bars { border-collapse: collapse; width: 100%; max-width: 46rem; margin-top: 2.25rem; font-size: 0.8125rem; }
.bars caption { text-align: left; font-size: 0.875rem; padding-bottom: 0.5rem; }
.bars th { font-weight: 400; text-align: left; padding: 0.22rem 1.5rem 0.22rem 0; max-width: 24rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.bars td { width: 100%; white-space: nowrap; color: var(--muted); }
.bars i {
  display: inline-block; vertical-align: -1px; height: 11px; width: calc(var(--s) * (1% - 0.045rem)); min-width: 1px; margin-right: 0.5rem;
  background: var(--data); border-radius: 2px;
}
.bars .look i { background: var(--look); }
.bars .look { color: inherit; }
.bars .rest :is(th, td) { color: var(--muted); padding-top: 0.5rem; }
.bars span { color: var(--muted); }
@media screen and (max-width: 40rem) {
  .bars th { white-space: normal; padding-right: 0.9rem; min-width: 9rem; }
}
`;

const TABLES = `
.scroll { overflow: auto; margin-top: 0.5rem; }
.tall { max-height: min(40rem, 80vh); margin-top: 0.75rem; }
.modules, .plain { border-collapse: separate; border-spacing: 0; width: 100%; font-size: 0.8125rem; white-space: nowrap; }
.modules th, .modules td, .plain th, .plain td { padding: 7px 0.45rem; text-align: left; border-bottom: 1px solid var(--rule); font-weight: 400; }
:is(.modules, .plain) :is(th, td):first-child { padding-left: 0; }
:is(.modules, .plain) :is(th, td):last-child { padding-right: 0; }
.modules thead th, .plain thead th { color: var(--muted); font-weight: 600; }
.modules thead th { position: sticky; top: 0; background: var(--paper); z-index: 1; box-shadow: inset 0 -1px var(--rule); border-bottom: 0; }
.plain code { font-size: 0.75rem; }
/* rows of whole pixels, or the sticky names of a phone cover the rules between them */
.modules :is(th, td) { line-height: 20px; }
.modules code { font-size: 0.75rem; vertical-align: top; }
.modules :is(th, td):is(:nth-child(2), :nth-child(n + 5)), .plain .figure { text-align: right; }
.quality :nth-child(-n + 3):not(:first-child) { text-align: right; padding-right: 1.5rem; }
.quality td:last-child { color: var(--muted); width: 100%; white-space: normal; min-width: 12rem; }
.plain .look { display: inline-block; white-space: normal; min-width: 12rem; }
.modules i {
  display: inline-block; vertical-align: 1px; height: 6px; width: calc(var(--s) * 0.4px); margin-right: 0.4rem;
  background: var(--data); border-radius: 1px;
}
.modules tbody tr:hover { background: var(--inset); }
[data-sortable] button, .filter button { all: unset; cursor: pointer; }
.filter button { color: var(--data); text-decoration: underline; text-underline-offset: 2px; }
.filter button[hidden] { display: none; }
[data-sortable] button:hover { color: var(--ink); }
:is([data-sortable], .filter) button:focus-visible { outline: 2px solid var(--data); outline-offset: 2px; border-radius: 3px; }
[data-sortable] thead th[aria-sort] { color: var(--ink); }
[data-sortable] [aria-sort] button::after { content: ' ▾' / ''; }
[data-sortable] [aria-sort='ascending'] button::after { content: ' ▴' / ''; }
.filter { margin-top: 0.75rem; font-size: 0.8125rem; color: var(--muted); display: flex; flex-wrap: wrap; gap: 0.4rem 1rem; align-items: baseline; }
.filter[hidden] { display: none; }
.filter input {
  font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--others); border-radius: 6px;
  padding: 0.3rem 0.6rem; width: 15rem; max-width: 100%; margin-left: 0.35rem;
}
.filter input::placeholder { color: var(--muted); opacity: 0.75; }
@media screen and (max-width: 40rem) {
  .modules th:first-child { position: sticky; left: 0; background: var(--paper); white-space: normal; min-width: 9rem; max-width: 9rem; padding-right: 0.6rem; }
  .modules thead th:first-child { z-index: 2; }
}
`;

const PRINT = `
@page { margin: 15mm; }
@media print {
  :root { --paper: #fff; }
  :is(.verdict, .lead, .bars) wbr { display: none; }
  svg text { font-size: 12px; }
  body { font-size: 10pt; }
  main, footer { max-width: none; padding: 0; }
  section { margin-top: 2rem; }
  h2, h3, figcaption, caption { break-after: avoid; }
  tr, figure figure, .texts figure, .cards, pre { break-inside: avoid; }
  .scroll { overflow: visible; max-height: none; }
  .modules, .plain { font-size: 7.5pt; }
  .modules :is(th, td) { line-height: 1.4; }
  .modules code, .plain code { font-size: 7pt; }
  .modules th, .modules td, .plain th, .plain td { padding: 0.2rem 0.35rem; }
  .modules th { white-space: normal; }
  .modules i { display: none; }
  .modules thead th { position: static; box-shadow: none; border-bottom: 1px solid var(--rule); }
  thead { display: table-header-group; }
  .filter { display: none; }
  i, mark { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;

const RUNS = `
.pareto { margin-top: 1.25rem; max-width: 52rem; }
.pareto svg { display: block; width: 100%; height: auto; overflow: visible; }
.pareto figcaption { font-size: 0.8125rem; margin-bottom: 0.75rem; }
.runs :is(th, td):not(:first-child) { text-align: right; }
.runs .front th:first-child { box-shadow: inset 2px 0 var(--look); }
.runs tbody th:first-child { padding-left: 0.6rem; }
.runs thead th:first-child { padding-left: 0.6rem; }
.diff { line-height: 1.5; }
.diff span { display: block; }
.diff .added { color: var(--data); }
.diff .removed { color: var(--look); }
.diff .context { color: var(--muted); }
@media screen and (max-width: 40rem) { .pareto svg text { font-size: 15px; } }
`;

const TEXTS = `
.texts { display: grid; gap: 1.75rem; margin-top: 1.25rem; max-width: 60rem; }
.texts figcaption { padding-left: 0.9rem; border-left: 2px solid var(--others); overflow-wrap: anywhere; }
.texts dl { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem 2.5rem; margin-top: 0.75rem; }
.texts dt, .texts p { color: var(--muted); font-size: 0.8125rem; }
.texts dd { overflow-wrap: anywhere; }
.texts p { margin-top: 0.35rem; }
.texts mark { background: color-mix(in srgb, var(--look) 20%, transparent); color: inherit; border-radius: 3px; padding: 0.1em 0; }
.task { width: auto; }
.task :is(th, td):not(:first-child) { padding-left: 1.5rem; }
@media screen and (max-width: 40rem) {
  .texts dl { grid-template-columns: minmax(0, 1fr); }
  .quality tr > :last-child { display: none; }
  .quality th { white-space: normal; }
  .quality :nth-child(3):not(:first-child) { padding-right: 0; }
}
`;

/** The page's style sheet. */
export const STYLE = COLOURS + PAGE + CARDS + PLOTS + TABLES + TEXTS + RUNS + PRINT;
