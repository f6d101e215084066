import { printable } from '../../formats/printable.js';
import type { Damage } from './damage.js';
import { bytes, day, decibel, duration } from './figures.js';
import { markup, type Markup } from './markup.js';
import { moduleName } from './names.js';
import type { View } from './section.js';

/** Title, verdict and the four figures that everything below explains. */
export function headHtml({ report, damage }: View): Markup {
  const { size, plan, bits_per_weight, bits_per_quantized_weight, seconds, peak_memory_bytes } = report;
  const quantized =
    bits_per_quantized_weight === null
      ? 'nothing was quantized'
      : `${bits_per_quantized_weight.toFixed(2)} where quantized`;
  return markup`<header>
<p class="eyebrow">tensorpress report · ${day(report.date)} · ${printable(plan.recipe)}</p>
<h1>${printable(report.title)}</h1>
<p class="verdict">${verdict(report.verdict, new Set(report.modules.map(({ module }) => module)))}</p>
<dl class="cards">
${card('size', bytes(size.after), `from ${bytes(size.before)}, ${percentOf(size)}`)}
${card('bits per weight', bits_per_weight.toFixed(2), quantized)}
${sqnrCard(damage)}
${card('time', duration(seconds), `peak memory ${bytes(peak_memory_bytes)}`)}
</dl>
</header>
`;
}

function sqnrCard({ sqnr }: Damage): Markup {
  if (sqnr === undefined) return card('worst SQNR', '–', 'no weight was changed');
  return card('worst SQNR', decibel(sqnr.worst), `median ${decibel(sqnr.median)}`);
}

function card(label: string, value: string, context: string): Markup {
  return markup`<div><dt>${label}</dt><dd><strong>${value}</strong><span>${context}</span></dd></div>`;
}

function percentOf({ before, after }: { before: number; after: number }): string {
  return before > 0 ? `${Math.round((100 * after) / before)}\u00a0%` : '–';
}

/** The first clause stands out; names of modules are code. */
function verdict(text: string, modules: ReadonlySet<string>): Markup {
  const end = /[;.](?=\s|$)/.exec(text);
  const first = end === null ? text.length : end.index + 1;
  const words = (part: string) =>
    part.split(/(\s+|[,;()])/).map(word => (modules.has(word) ? moduleName(word) : printable(word, 400)));
  return markup`<strong>${words(text.slice(0, first))}</strong>${words(text.slice(first))}`;
}
