import { printable } from '../../../formats/printable.js';
import type { Damage, DamageGroup } from '../damage.js';
import { depthSeries, type DepthSeries } from '../depth.js';
import { counted, percent, relative, whole } from '../figures.js';
import { markup, type Markup } from '../markup.js';
import { moduleName, shortName } from '../names.js';
import { hiddenPanels } from '../hidden.js';
import { depthPlot } from '../plots/depth.js';
import type { Section, View } from '../section.js';

const PANELS = 12;
const BARS = 8;

/** Where the errors are: by kind of module over depth, and the modules that hold most of them. */
export async function damageSection({ report, damage }: View): Promise<Section | undefined> {
  const depth = await hiddenPanels(report.quality);
  const weights = damage.modules.some(({ relMSE }) => relMSE > 0);
  if (!weights && depth === undefined) return undefined;
  const found = weights ? finding(damage) : undefined;
  const lead = depth === undefined ? found : undefined;
  return {
    id: 'damage',
    title: 'Where the damage is',
    ...(lead && { lead }),
    body: markup`${depth}${lead === undefined && found !== undefined ? markup`<p class="lead">${found}</p>\n` : undefined}${weights ? [await panels(depthSeries(damage.modules, report.modules)), bars(damage)] : undefined}`,
  };
}

/** The point of the section in one sentence. */
function finding({ groups, outliers }: Damage): Markup | undefined {
  if (groups.length < 2) return undefined;
  const n = outliers.length;
  if (n === 0) {
    return markup`The error of the weights is spread evenly: none of the largest shares is twice the share of the weights that it comes from.`;
  }
  const names = outliers.map(({ name }, i) => [
    i === 0 ? '' : i === n - 1 ? ' and ' : ', ',
    moduleName(shortName(name)),
  ]);
  const held = percent(outliers.reduce((sum, { share }) => sum + share, 0));
  const weights = percent(outliers.reduce((sum, group) => sum + group.weights, 0));
  return markup`${names} ${n === 1 ? 'holds' : 'hold'} ${held} of the squared error with ${weights} of the quantized weights.`;
}

async function panels(series: readonly DepthSeries[]): Promise<Markup | undefined> {
  if (series.length === 0) return undefined;
  const largest = (s: DepthSeries) => s.worst.module.relMSE;
  const chosen = new Set([...series].sort((a, b) => largest(b) - largest(a)).slice(0, PANELS));
  const shown = series.filter(s => chosen.has(s));
  const worst = shown.reduce((a, b) => (largest(b) > largest(a) ? b : a));
  const drawn = [];
  for (const s of shown) drawn.push(panel(s, await depthPlot(s, shown, s === worst), s === worst));
  const left = series.length - shown.length;
  const several = shown.some(({ perLayer }) => perLayer > 1);
  return markup`<figure class="panels">
<figcaption>Error of each kind of module by layer, as relMSE: the squared error of a weight relative to its squares.${
    several ? ' Where a layer has several, the line is their median and the band goes from the best to the worst.' : ''
  }${left > 0 ? ` ${counted(left, 'kind')} with smaller errors ${left === 1 ? 'is' : 'are'} in the table only.` : ''}</figcaption>
<div>
${drawn}</div>
</figure>
`;
}

function panel({ label, worst }: DepthSeries, drawing: Markup, marked: boolean): Markup {
  const look = marked ? markup` class="look"` : undefined;
  const where = markup`<span${look}>worst ${relative(worst.module.relMSE)}, layer ${worst.layer}</span>`;
  return markup`<figure><figcaption><b>${printable(label)}</b> ${where}</figcaption>${drawing}</figure>\n`;
}

/** The largest shares as a list with bars; those to look at are orange. */
function bars({ groups, modules, outliers }: Damage): Markup | undefined {
  const [largest] = groups;
  if (largest === undefined) return undefined;
  const row = (group: DamageGroup) => {
    const { name, share, modules: n } = group;
    const look = outliers.includes(group) ? markup` class="look"` : undefined;
    const width = ((100 * share) / largest.share).toFixed(1);
    const times = n > 1 ? markup` <span>× ${whole(n)}</span>` : undefined;
    return markup`<tr${look}><th scope="row">${moduleName(shortName(name))}${times}</th><td><i style="--s:${width}"></i>${percent(share)}</td></tr>\n`;
  };
  const shown = groups.slice(0, BARS);
  const rest = modules.length - shown.reduce((sum, group) => sum + group.modules, 0);
  const others = groups.slice(BARS).reduce((sum, { share }) => sum + share, 0);
  return markup`<table class="bars">
<caption>Largest shares of the squared error of all weights</caption>
<tbody>
${shown.map(row)}${
    rest > 0
      ? markup`<tr class="rest"><th scope="row">the other ${counted(rest, 'module')}</th><td>${percent(others)}</td></tr>\n`
      : undefined
  }</tbody>
</table>`;
}
