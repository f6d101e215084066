import type { ModelDType } from '../numerics/dtypes.js';
import { accumulateRange, emptyRange } from '../numerics/grid.js';
import type { WeightRows } from './observer.js';

/** A weight W[R, C] that lies in memory, as observers read it: for what an algorithm has made of a weight. Nothing in it may be NaN. */
export function weightInMemory(x: Float32Array, columns: number, dtype: ModelDType): WeightRows {
  return {
    rows: x.length / columns,
    columns,
    dtype,
    // eslint-disable-next-line @typescript-eslint/require-await
    async *chunks() {
      yield { fromRow: 0, x };
    },
    range(grid) {
      const range = emptyRange(grid);
      accumulateRange(x, 0, grid, range);
      return Promise.resolve(range);
    },
  };
}
