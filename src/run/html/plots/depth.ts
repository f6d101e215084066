import type { TopLevelSpec } from 'vega-lite';
import { printable } from '../../../formats/printable.js';
import { relative } from '../figures.js';
import type { DepthPoint, DepthSeries } from '../depth.js';
import type { Markup } from '../markup.js';
import { errorText, layerAxis, tickTexts } from './axes.js';
import { INK, plot } from './render.js';
import { ticksFromZero } from './ticks.js';

/**
 * The error of one kind of module by layer: its line (the median of a layer with several) over the band from the best to the worst, in front
 * of the lines of all other kinds, on one scale from zero.
 * @param marked the series holds the module to look at
 */
export function depthPlot(series: DepthSeries, all: readonly DepthSeries[], marked: boolean): Promise<Markup> {
  const ticks = ticksFromZero(all.reduce((highest, { worst }) => Math.max(highest, worst.module.relMSE), 0));
  const others = all.filter(other => other !== series && other.lastLayer === series.lastLayer);
  const { points, lastLayer, worst, perLayer } = series;
  const spec: TopLevelSpec = {
    width: 200,
    height: 104,
    padding: { left: 34, right: 6, top: 6, bottom: 18 },
    encoding: {
      x: {
        field: 'layer',
        type: 'quantitative',
        scale: { domain: [0, lastLayer], nice: false },
        axis: layerAxis(lastLayer),
      },
    },
    layer: [
      {
        data: { values: others.flatMap((other, i) => runs(other.points, `${i}`)) },
        mark: { type: 'line', stroke: INK.others, strokeWidth: 1 },
        encoding: { y: yOf('median', ticks), detail: { field: 'run' } },
      },
      {
        data: { values: perLayer > 1 ? runs(points) : [] },
        mark: { type: 'area', fill: INK.band },
        encoding: { y: yOf('lowest', ticks), y2: { field: 'highest' }, detail: { field: 'run' } },
      },
      {
        data: { values: runs(points) },
        mark: { type: 'line', stroke: INK.data, strokeWidth: 1.6, strokeJoin: 'round', strokeCap: 'round' },
        encoding: { y: yOf('median', ticks), detail: { field: 'run' } },
      },
      {
        data: { values: lonely(points) },
        mark: { type: 'circle', fill: INK.data, size: 14, opacity: 1 },
        encoding: { y: yOf('median', ticks) },
      },
      {
        data: { values: marked ? [{ layer: worst.layer, highest: worst.module.relMSE }] : [] },
        mark: { type: 'circle', fill: INK.look, size: 36, opacity: 1 },
        encoding: { y: yOf('highest', ticks) },
      },
    ],
  };
  return plot(
    spec,
    `relMSE of ${printable(series.label)} in layers 0 to ${lastLayer}; largest ${relative(worst.module.relMSE)} in layer ${worst.layer}`,
  );
}

function yOf(field: string, ticks: readonly number[]) {
  return {
    field,
    type: 'quantitative' as const,
    scale: { domain: [0, ticks.at(-1)!], nice: false },
    axis: { values: [...ticks], labelPadding: 6, labelExpr: tickTexts(ticks, errorText) },
  };
}

/** Points of adjacent layers share a run: a line breaks where a layer has no error. */
function runs(points: readonly DepthPoint[], prefix = ''): (DepthPoint & { run: string })[] {
  return points.map((point, i) => ({ ...point, run: `${prefix}:${point.layer - i}` }));
}

/** Points that no line reaches. */
function lonely(points: readonly DepthPoint[]): DepthPoint[] {
  const layers = new Set(points.map(({ layer }) => layer));
  return points.filter(({ layer }) => !layers.has(layer - 1) && !layers.has(layer + 1));
}
