import { printable } from '../../formats/printable.js';
import type { Damage } from './damage.js';
import { bytes, day, decibel, duration, percent, relative, whole } from './figures.js';
import { markup, type Markup } from './markup.js';
import { moduleName } from './names.js';
import { change, type Quality } from '../quality.js';
import type { Report } from '../report.js';
import { formatEstimate } from '../units.js';
import type { View } from './section.js';

/** Title, verdict and the four figures that everything below explains. */
export function headHtml(view: View): Markup {
  const { report } = view;
  return markup`<header>
<p class="eyebrow">tensorpress report · ${day(report.date)} · ${printable(report.plan.recipe)}</p>
<h1>${printable(report.title)}</h1>
<p class="verdict">${verdict(report.verdict.replaceAll(' ± ', '\u00a0±\u00a0'), new Set(report.modules.map(({ module }) => module)))}</p>
<dl class="cards">
${report.quality ? qualityCards(report, report.quality) : weightCards(view)}</dl>
</header>
`;
}

/** What was lost, where the output was evaluated. */
function qualityCards({ size }: Report, quality: Quality): Markup {
  const { perplexity, base_perplexity, ln_ratio, kl, same_top1, scored } = quality;
  return markup`${sizeCard(size)}
${card('perplexity', perplexity.toFixed(2), `from ${base_perplexity.toFixed(2)}, ${change(ln_ratio).replace(' ', '\u00a0')}`)}
${card('KL to the original', kl.max === 0 ? '0' : formatEstimate(kl.mean, quality.intervals?.kl_mean).split(' ')[0]!, kl.max === 0 ? 'the same predictions' : `p99 ${relative(kl.p99)} · p99.9 ${relative(kl.p99_9)}`)}
${card('same top token', percent(same_top1), `of ${whole(scored)} tokens`)}
`;
}

/** What is known of the weights alone. */
function weightCards({ report, damage }: View): Markup {
  const { size, bits_per_weight, bits_per_quantized_weight: coded, seconds, peak_memory_bytes } = report;
  const quantized = coded === null ? 'nothing was quantized' : `${coded.toFixed(2)} where quantized`;
  return markup`${sizeCard(size)}
${card('bits per weight', bits_per_weight.toFixed(2), quantized)}
${sqnrCard(damage)}
${card('time', duration(seconds), `peak memory ${bytes(peak_memory_bytes)}`)}
`;
}

function sizeCard(size: Report['size']): Markup {
  return card('size', bytes(size.after), `from ${bytes(size.before)}, ${percentOf(size)}`);
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
  const end = /[:;.](?=\s|$)/.exec(text);
  const first = end === null ? text.length : end.index + 1;
  const words = (part: string) =>
    part.split(/(\s+|[,;()])/).map(word => (modules.has(word) ? moduleName(word) : printable(word, 400)));
  return markup`<strong>${words(text.slice(0, first))}</strong>${words(text.slice(first))}`;
}
