import { printable } from '../../../formats/printable.js';
import type { ModuleReport } from '../../report.js';
import { decibel, percent } from '../figures.js';
import { markup, type Markup } from '../markup.js';
import { moduleName, shortName, shortScheme } from '../names.js';
import { codesPlot } from '../plots/codes.js';
import type { Section, View } from '../section.js';

interface Histogram {
  readonly module: ModuleReport;
  readonly labels: readonly string[];
  readonly shares: readonly number[];
}

/** How the worst modules use their codes: a weight that uses few of them has a scale that does not fit. */
export async function worstSection({ report }: View): Promise<Section | undefined> {
  const shown = report.modules.flatMap(histogramOf).sort((a, b) => (b.module.relMSE ?? 0) - (a.module.relMSE ?? 0));
  if (shown.length === 0) return undefined;
  const figures = [];
  for (const histogram of shown) figures.push(await figure(histogram, shown));
  const byExponent = shown.some(
    ({ module: { scheme } }) => scheme?.weights?.type === 'float' && scheme.weights.num_bits === 8,
  );
  return {
    id: 'worst',
    title: 'The worst modules',
    lead: markup`How often each code is used, from the lowest to the highest. Codes that are hardly used are bits that carry nothing.${byExponent ? ' Those of fp8 are counted by sign and exponent.' : ''}`,
    body: markup`<div class="panels">
${figures}</div>`,
  };
}

function histogramOf(module: ModuleReport): Histogram[] {
  const { labels, counts } = module.histogram ?? { labels: [], counts: [] };
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (!(total > 0)) return [];
  return [{ module, labels: counts.map((_, i) => labels[i] ?? ''), shares: counts.map(count => count / total) }];
}

async function figure(histogram: Histogram, all: readonly Histogram[]): Promise<Markup> {
  const { module, shares } = histogram;
  // histograms with as many bars are compared, so they have one scale
  const highest = all
    .filter(other => other.shares.length === shares.length)
    .reduce((most, other) => Math.max(most, ...other.shares), 0);
  const description = `use of the codes of ${printable(module.module)}: ${shares.length} bars, the highest ${percent(Math.max(...shares))}`;
  const name = moduleName(shortName(module.module));
  const facts = `${shortScheme(module.scheme?.weights)} · ${decibel(module.sqnr_db ?? null)}`;
  const drawing = await codesPlot(histogram, highest, description);
  return markup`<figure><figcaption>${name} <span>${facts}</span>${bitsUsed(histogram)}</figcaption>${drawing}</figure>\n`;
}

/** Entropy of the codes, where every bar is one code (the two zeros of fp4 are one): the bits that an ideal code would need. */
function bitsUsed({ module, shares }: Histogram): Markup | undefined {
  const bits = module.scheme?.weights?.num_bits;
  if (bits === undefined || shares.length < 2 ** bits - 1) return undefined;
  const entropy = shares.reduce((sum, p) => (p > 0 ? sum - p * Math.log2(p) : sum), 0);
  return markup`<span>carries ${entropy.toFixed(1)} of ${bits} bits</span>`;
}
