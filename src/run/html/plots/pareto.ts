import type { TopLevelSpec } from 'vega-lite';
import { printable } from '../../../formats/printable.js';
import type { ComparedRun } from '../../compare.js';
import { formatBytes } from '../../units.js';
import type { Markup } from '../markup.js';
import { errorText, tickTexts } from './axes.js';
import { placeLabels, SIDES } from './labels.js';
import { INK, plot } from './render.js';
import { logTicks, ticksAround, ticksFromZero } from './ticks.js';

const WIDTH = 560;
const HEIGHT = 250;
/** KLs farther apart than this need a logarithmic scale. */
const SPREAD = 5;

/**
 * Size against mean KL with its interval, one point for each run. The front, its runs and their names stand out; the line is the least KL that
 * can be had for a size.
 */
export function paretoPlot(runs: readonly ComparedRun[]): Promise<Markup> {
  const points = runs.map(({ name, size, kl, kl_interval: interval, on_front }) => ({
    name: printable(name, 32),
    size,
    kl,
    low: interval?.low ?? kl,
    high: interval?.high ?? kl,
    front: on_front === true,
  }));
  const sizes = points.map(({ size }) => size);
  const [lowest, highest] = [Math.min(...points.map(({ low }) => low)), Math.max(...points.map(({ high }) => high))];
  const logarithmic = lowest > 0 && highest > SPREAD * lowest;
  const across = ticksAround(Math.min(...sizes), Math.max(...sizes));
  const up = logarithmic ? logTicks(lowest, highest) : ticksFromZero(highest);
  const [left, right] = [across[0]!, across.at(-1)!];
  const [bottom, top] = [up[0]!, up.at(-1)!];

  const scaled = (kl: number) =>
    logarithmic ? Math.log(kl / bottom) / Math.log(top / bottom) : (kl - bottom) / (top - bottom);
  const labels = placeLabels(
    points.map(({ name, size, kl, front }) => ({
      x: (WIDTH * (size - left)) / (right - left),
      y: HEIGHT * (1 - scaled(kl)),
      text: name,
      needed: front,
    })),
    { width: WIDTH, height: HEIGHT },
  );
  const labelled = points.map((point, i) => ({ ...point, side: labels[i] }));
  const x = {
    field: 'size',
    type: 'quantitative' as const,
    scale: { domain: [left, right], nice: false },
    axis: { grid: false, values: across, labelPadding: 6, labelExpr: tickTexts(across, formatBytes) },
  };
  const y = (field: string) => ({
    field,
    type: 'quantitative' as const,
    scale: { type: logarithmic ? ('log' as const) : ('linear' as const), domain: [bottom, top], nice: false },
    axis: { values: up, labelPadding: 8, labelExpr: tickTexts(up, errorText) },
  });
  const front = points.filter(point => point.front);
  const spec: TopLevelSpec = {
    width: WIDTH,
    height: HEIGHT,
    padding: { left: 46, right: 14, top: 8, bottom: 22 },
    encoding: { x },
    layer: [
      {
        data: { values: front.toSorted((a, b) => a.size - b.size) },
        mark: { type: 'line', stroke: INK.others, strokeWidth: 1.4, interpolate: 'step-after' },
        encoding: { y: y('kl') },
      },
      ...[false, true].map(of => ({
        data: { values: points.filter(point => point.front === of) },
        mark: { type: 'rule' as const, stroke: of ? INK.look : INK.data, strokeWidth: 1.2 },
        encoding: { y: y('low'), y2: { field: 'high' } },
      })),
      ...[false, true].map(of => ({
        data: { values: points.filter(point => point.front === of) },
        mark: { type: 'circle' as const, fill: of ? INK.look : INK.data, size: of ? 60 : 36, opacity: 1 },
        encoding: { y: y('kl') },
      })),
      ...SIDES.map(({ name, align, dx, dy }) => ({
        data: { values: labelled.filter(({ side }) => side === name) },
        mark: { type: 'text' as const, align, dx, dy, baseline: 'middle' as const, fill: INK.muted },
        encoding: { y: y('kl'), text: { field: 'name' } },
      })),
    ],
  };
  const named = front.map(({ name }) => name).join(', ');
  return plot(spec, `KL to the original against size of ${runs.length} runs; on the front: ${named}`);
}
