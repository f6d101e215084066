import { structuredPatch } from 'diff';
import { printable } from '../../formats/printable.js';
import type { ComparedRun, RunComparison } from '../compare.js';
import { formatEstimate } from '../units.js';
import { documentHtml } from './document.js';
import { bytes, duration, percent } from './figures.js';
import { markup, type Markup } from './markup.js';
import { paretoPlot } from './plots/pareto.js';
import { sectionHtml, type Section } from './section.js';

/** Runs side by side as one page that needs nothing beside it: what each costs and loses, which are worth a look, and how their recipes differ. */
export async function comparisonHtml(comparison: RunComparison, version: string): Promise<string> {
  const { runs, notes } = comparison;
  const bases = [...new Set(runs.map(({ base }) => printable(base)))];
  const sections = [await frontSection(comparison), tableSection(comparison), recipesSection(runs)];
  return documentHtml({
    title: `${runs.length} runs of ${bases.join(', ')} · tensorpress`,
    main: markup`<header>
<p class="eyebrow">tensorpress compare · ${[...new Set(runs.map(({ text }) => printable(text)))].join('; ')}</p>
<h1>${runs.length} runs of ${bases.join(', ')}</h1>
<p class="verdict">${comparisonVerdict(comparison)}</p>
${notes.length > 0 ? markup`<ul class="warning">${notes.map(note => markup`<li>${printable(note, 400)}</li>`)}</ul>` : undefined}</header>
${sections.map(section => section && sectionHtml(section))}`,
    footer: `tensorpress ${version}`,
  });
}

/** Which runs are worth a look. */
function comparisonVerdict({ runs, comparable }: RunComparison): Markup {
  if (!comparable)
    return markup`<strong>These runs cannot be held against each other.</strong> Their figures stand below as they are.`;
  const front = runs.filter(({ on_front }) => on_front).toSorted((a, b) => a.size - b.size);
  const [smallest, nearest] = [front[0]!, front.at(-1)!];
  const facts = ({ size, kl, kl_interval: interval }: ComparedRun) =>
    `${bytes(size)}, KL ${formatEstimate(kl, interval ?? undefined).replaceAll(' ', '\u00a0')}`;
  if (front.every(({ size, kl }) => size === smallest.size && kl === smallest.kl)) {
    const names = front.map(({ name }, i) => [i === 0 ? '' : ' and ', runName(name)]);
    return markup`<strong>${names} ${front.length === 1 ? 'is' : 'are'} the smallest and the nearest to the original</strong> (${facts(smallest)}).`;
  }
  const others = runs.length - front.length;
  const rest =
    others === 0
      ? ''
      : ` For ${others === 1 ? 'the other one' : `each of the other ${others}`} there is a run that is not larger and not farther from the original.`;
  return markup`<strong>${runName(smallest.name)} is the smallest (${facts(smallest)}), ${runName(nearest.name)} the nearest to the original (${facts(nearest)}).</strong>${rest}`;
}

async function frontSection({ runs, comparable }: RunComparison): Promise<Section | undefined> {
  if (!comparable) return undefined;
  return {
    id: 'front',
    title: 'Size against loss',
    body: markup`<figure class="pareto"><figcaption>Mean KL to the original in nats per token, with its 95 % interval, against the size of all tensors. Orange: nothing else is both smaller and nearer.</figcaption>${await paretoPlot(runs)}</figure>`,
  };
}

interface Column {
  readonly head: string;
  readonly text: (run: ComparedRun) => string;
  /** What it is sorted by. */
  readonly value: (run: ComparedRun) => number;
  readonly first?: 'descending';
}

const COLUMNS: readonly Column[] = [
  { head: 'size', text: run => bytes(run.size), value: run => run.size },
  { head: 'bits per weight', text: run => run.bits_per_weight.toFixed(2), value: run => run.bits_per_weight },
  { head: 'perplexity', text: run => run.perplexity.toFixed(2), value: run => run.perplexity },
  { head: 'KL', text: run => formatEstimate(run.kl, run.kl_interval ?? undefined), value: run => run.kl },
  { head: 'same top token', text: run => percent(run.same_top1), value: run => run.same_top1, first: 'descending' },
  {
    head: 'right answers',
    text: run => (run.accuracy === null ? '' : percent(run.accuracy)),
    value: run => run.accuracy ?? NaN,
    first: 'descending',
  },
  { head: 'time', text: run => duration(run.seconds), value: run => run.seconds },
];

function tableSection({ runs }: RunComparison): Section {
  const columns = COLUMNS.filter(({ value }) => runs.some(run => !Number.isNaN(value(run))));
  const heads = columns.map(({ head, first = 'ascending' }, i) => {
    const sorted = i === 0 ? markup` aria-sort="ascending"` : undefined;
    return markup`<th scope="col" data-sort="number" data-first="${first}"${sorted}>${head}</th>`;
  });
  const rows = runs
    .toSorted((a, b) => a.size - b.size)
    .map(run => {
      const cells = columns.map(({ text, value }) => markup`<td data-value="${String(value(run))}">${text(run)}</td>`);
      const front = run.on_front ? markup` class="front"` : undefined;
      return markup`<tr${front}><th scope="row" title="${printable(run.verdict, 400)}">${runName(run.name)}</th>${cells}</tr>\n`;
    });
  return {
    id: 'runs',
    title: 'Runs',
    body: markup`<div class="scroll" role="region" tabindex="0" aria-labelledby="runs"><table class="plain runs" data-sortable>
<thead><tr><th scope="col" data-sort="text" data-first="ascending">run</th>${heads}</tr></thead>
<tbody>
${rows}</tbody></table></div>
<ul>
${runs.map(({ name, verdict }) => markup`<li>${runName(name)}: ${printable(verdict, 400)}</li>\n`)}</ul>`,
  };
}

/** The recipe of the first run, and what the others have changed in it. */
function recipesSection([first, ...others]: readonly ComparedRun[]): Section {
  const diffs = others.map(({ name, recipe }) => {
    const { hunks } = structuredPatch('', '', first!.recipe, recipe, '', '', { context: 3 });
    const body =
      hunks.length === 0 ? markup`<p class="lead">The same recipe.</p>` : diffHtml(hunks.map(({ lines }) => lines));
    return markup`<h3>${runName(first!.name)} → ${runName(name)}</h3>\n${body}\n`;
  });
  return {
    id: 'recipes',
    title: 'How the recipes differ',
    lead: markup`Against that of ${runName(first!.name)}: − is only there, + only in the other.`,
    body: markup`${diffs}`,
  };
}

function diffHtml(hunks: readonly (readonly string[])[]): Markup {
  const kinds: Record<string, string> = { '+': 'added', '-': 'removed' };
  const line = (text: string) => {
    const sign = text[0] === '-' ? '−' : (text[0] ?? ' ');
    return markup`<span class="${kinds[text[0]!] ?? 'context'}">${sign} ${printable(text.slice(1), 400)}</span>`;
  };
  const between = markup`<span class="context">⋯</span>`;
  return markup`<pre class="diff" tabindex="0"><code>${hunks.map((lines, i) => [i === 0 ? '' : between, lines.filter(text => !text.startsWith('\\')).map(line)])}</code></pre>`;
}

function runName(name: string): Markup {
  return markup`<code>${printable(name)}</code>`;
}
