import type { TopLevelSpec } from 'vega-lite';
import type { LayerRange } from '../../quality.js';
import { relative } from '../figures.js';
import type { Markup } from '../markup.js';
import { errorText, layerAxis, tickTexts } from './axes.js';
import { INK, plot } from './render.js';

/** An error behind each layer; -1 is the embedding. */
export interface HiddenPoint {
  readonly layer: number;
  readonly error: number;
}

/**
 * An error of the hidden states behind each layer, on a logarithmic scale; what is exact has no place there and is left out.
 * @param ticks powers of ten or their halves, from the lowest to the highest: plots that stand side by side have one scale
 * @param marked layers to look at, which stand before a shade
 */
export function hiddenPlot(
  name: string,
  all: readonly HiddenPoint[],
  ticks: number[],
  marked: LayerRange | undefined,
): Promise<Markup> {
  const points = all.filter(({ error }) => error > 0);
  const last = all.at(-1)!.layer;
  const first = Math.min(0, points[0]!.layer);
  const y = {
    field: 'error',
    type: 'quantitative' as const,
    scale: { type: 'log' as const, domain: [ticks[0]!, ticks.at(-1)!], nice: false },
    axis: { values: ticks, labelPadding: 6, labelExpr: tickTexts(ticks, errorText) },
  };
  const looked = ({ layer }: HiddenPoint) => marked !== undefined && layer >= marked.from && layer <= marked.to;
  const spec: TopLevelSpec = {
    width: 440,
    height: 150,
    padding: { left: 40, right: 8, top: 6, bottom: 18 },
    encoding: {
      x: {
        field: 'layer',
        type: 'quantitative',
        scale: { domain: [first - 0.5, last + 0.5], nice: false },
        axis: layerAxis(last),
      },
    },
    layer: [
      {
        data: { values: marked ? [{ layer: Math.max(first, marked.from) - 0.5, to: marked.to + 0.5 }] : [] },
        mark: { type: 'rect', fill: INK.look, opacity: 0.14 },
        encoding: { x2: { field: 'to' } },
      },
      {
        data: { values: points },
        mark: { type: 'line', stroke: INK.data, strokeWidth: 1.6, strokeJoin: 'round', strokeCap: 'round' },
        encoding: { y },
      },
      {
        data: { values: points.filter(point => !looked(point)) },
        mark: { type: 'circle', fill: INK.data, size: last > 40 ? 8 : 16, opacity: 1 },
        encoding: { y },
      },
      {
        data: { values: points.filter(looked) },
        mark: { type: 'circle', fill: INK.look, size: 30, opacity: 1 },
        encoding: { y },
      },
    ],
  };
  return plot(spec, `${name} behind layers 0 to ${last}; at the end ${relative(all.at(-1)!.error)}`);
}
