import { damagedLayers, layerNames, type Quality } from '../quality.js';
import { percent, relative } from './figures.js';
import { markup, type Markup } from './markup.js';
import { hiddenPlot } from './plots/hidden.js';
import { logTicks } from './plots/ticks.js';

/** How far the hidden states are from the original's, layer by layer, as two curves; nothing where they were not compared or are equal. */
export async function hiddenPanels(quality: Quality | undefined): Promise<Markup | undefined> {
  const layers = quality?.layers ?? [];
  const last = layers.at(-1);
  if (last === undefined || !layers.some(({ rel_mse }) => rel_mse > 0)) return undefined;
  const range = damagedLayers(layers);
  const where = range
    ? markup`<span class="look">${percent(range.share)} of the turn comes in ${layerNames(range)}</span>`
    : markup`<span>it grows over all layers</span>`;
  const error = layers.map(({ layer, rel_mse }) => ({ layer, error: rel_mse }));
  const turn = layers.map(({ layer, cosine }) => ({ layer, error: cosine > 1 - 1e-12 ? 0 : 1 - cosine }));
  const errors = [...error, ...turn].map(point => point.error).filter(e => e > 0);
  const ticks = logTicks(Math.min(...errors), Math.max(...errors));
  return markup`<figure class="panels hidden-states">
<figcaption>How far the hidden states are from the original's behind each layer: what all layers before it have added up to.</figcaption>
<div>
<figure><figcaption><b>relMSE</b> of the whole <span>${relative(last.rel_mse)} behind the last layer</span></figcaption>${await hiddenPlot('relMSE of the hidden states', error, ticks, range)}</figure>
${turn.some(({ error }) => error > 0) ? markup`<figure><figcaption><b>1 − cosine</b>, every token alike ${where}</figcaption>${await hiddenPlot('1 - cosine of the hidden states', turn, ticks, range)}</figure>\n` : undefined}</div>
</figure>
`;
}
