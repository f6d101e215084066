import { accumulateRange, emptyRange, type Grid, type Range } from '../../src/numerics/grid.js';
import type { RowChunk, WeightRows } from '../../src/observers/observer.js';

/** A float32 weight in memory that is read a few rows at a time, and counts how often. */
export function weightOf(
  x: Float32Array,
  rows: number,
  columns: number,
  rowsAtOnce = 2,
): WeightRows & { reads: number } {
  const weight = {
    rows,
    columns,
    dtype: 'F32' as const,
    reads: 0,
    async *chunks(): AsyncGenerator<RowChunk> {
      weight.reads++;
      for (let fromRow = 0; fromRow < rows; fromRow += rowsAtOnce)
        yield await Promise.resolve({ fromRow, x: x.subarray(fromRow * columns, (fromRow + rowsAtOnce) * columns) });
    },
    range(grid: Grid): Promise<Range> {
      weight.reads++;
      const range = emptyRange(grid);
      accumulateRange(x, 0, grid, range);
      return Promise.resolve(range);
    },
  };
  return weight;
}
