import type { Range } from '../numerics/grid.js';
import { assertObserved } from './finite.js';
import { Histogram, leftOut } from './histogram.js';
import { defineObserver } from './observer.js';

const DEFAULT = 99.99;

/** Of a value: its numbers, block by block. */
interface State {
  tokens: number;
  readonly histograms: readonly Histogram[];
}

/**
 * The range that holds `percentile` percent of all numbers of a block and leaves out as many below as above it, within a relative 2^-8; with 100,
 * and wherever that leaves out none, it is exactly `static_minmax`. All numbers count once, however they are cut into batches.
 */
export const percentile = defineObserver({
  names: ['percentile'],

  async weightRange({ weight, grid, args }) {
    const percent = percentOf(args.observer_kwargs);
    const { blockRows, blockColumns, rows, columns, gridColumns } = grid;
    const range = await weight.range(grid);
    if (leftOut(percent, blockRows * blockColumns) === 0) return range;
    // blocks of one row are finished one after the other
    const histograms = several(blockRows === 1 ? 1 : gridColumns);
    for await (const { fromRow, x } of weight.chunks()) {
      for (let at = 0, row = fromRow; at < x.length; at += columns, row++) {
        const last = (row + 1) % blockRows === 0 || row + 1 === rows;
        const firstBlock = Math.floor(row / blockRows) * gridColumns;
        for (let b = 0; b < gridColumns; b++) {
          const histogram = histograms[b % histograms.length]!;
          histogram.add(x, at + b * blockColumns, at + Math.min((b + 1) * blockColumns, columns));
          if (!last) continue;
          set(range, firstBlock + b, histogram.central(percent));
          histogram.clear();
        }
      }
    }
    return range;
  },

  values: {
    reduce: () => [],
    init: ({ columns, size }): State => ({ tokens: 0, histograms: several(columns / size) }),
    update(state, [value], { tokens }, { size }) {
      const x = value instanceof Float32Array ? value : Float32Array.from(value!);
      const { histograms } = state;
      for (let at = 0, b = 0; at < x.length; at += size, b++) histograms[b % histograms.length]!.add(x, at, at + size);
      state.tokens += tokens;
    },
    finish({ tokens, histograms }, { options }) {
      const ranges = histograms.map(histogram => histogram.central(percentOf(options)));
      const range = { min: Float32Array.from(ranges, r => r.min), max: Float32Array.from(ranges, r => r.max) };
      assertObserved(tokens, range.min, range.max);
      return range;
    },
  },
});

function percentOf(options: Readonly<Record<string, unknown>>): number {
  return (options['percentile'] as number | undefined) ?? DEFAULT;
}

function several(count: number): Histogram[] {
  return Array.from({ length: count }, () => new Histogram());
}

function set(range: Range, block: number, { min, max }: { min: number; max: number }): void {
  range.min[block] = min;
  range.max[block] = max;
}
