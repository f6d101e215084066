import type { TopLevelSpec } from 'vega-lite';
import type { Markup } from '../markup.js';
import { tickTexts } from './axes.js';
import { INK, plot } from './render.js';
import { ticksFromZero } from './ticks.js';

export interface CodeUse {
  readonly labels: readonly string[];
  /** Share of each code, 0 to 1. */
  readonly shares: readonly number[];
}

/**
 * How often each code is used, from the lowest to the highest, in shares from zero.
 * @param highest largest share of the histograms that stand beside it: they have one scale
 */
export function codesPlot({ labels, shares }: CodeUse, highest: number, description: string): Promise<Markup> {
  const ticks = ticksFromZero(highest);
  const middles = labelled(labels).map(i => i + 0.5);
  // many bars are thin: they overlap a little, or seams would show between them
  const gap = shares.length > 40 ? -0.2 : 0.12;
  const spec: TopLevelSpec = {
    width: 200,
    height: 90,
    padding: { left: 34, right: 6, top: 6, bottom: 18 },
    data: { values: shares.map((share, i) => ({ from: i + gap, to: i + 1 - gap, share })) },
    mark: { type: 'rect', fill: INK.data },
    encoding: {
      x: {
        field: 'from',
        type: 'quantitative',
        scale: { domain: [0, shares.length], nice: false },
        axis: {
          grid: false,
          values: middles,
          labelFlush: false,
          labelPadding: 5,
          labelExpr: tickTexts(middles, x => labels[x - 0.5]!),
        },
      },
      x2: { field: 'to' },
      y: {
        field: 'share',
        type: 'quantitative',
        scale: { domain: [0, ticks.at(-1)!], nice: false },
        axis: {
          values: ticks,
          labelPadding: 6,
          labelExpr: tickTexts(ticks, tick => (tick === 0 ? '0' : `${Number((100 * tick).toPrecision(3))} %`)),
        },
      },
      y2: { datum: 0 },
    },
  };
  return plot(spec, description);
}

/** Indexes of the bars that get a label: all of a few, else the first, zero or the middle, and the last. */
function labelled(labels: readonly string[]): number[] {
  const last = labels.length - 1;
  if (last < 8) return labels.map((_, i) => i);
  const zero = labels.indexOf('0');
  return [...new Set([0, zero > 0 ? zero : Math.round(last / 2), last])];
}
