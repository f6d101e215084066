import { TensorpressError } from '../errors.js';
import { firstNonFinite } from '../numerics/dtypes.js';
import { accumulateRange, emptyRange, makeGrid, type Range } from '../numerics/grid.js';
import { MSE, MseSearch, NVFP4_EXPANDED_MSE, type SearchOptions } from '../numerics/mse.js';
import { defineObserver, type Observer, type ValueSpec, type WeightObservation } from './observer.js';
import { enterBatch, finishRange, startRange, type Memory } from './value-range.js';

/** The range of each block of a weight that minimises sum w_c |fakequant(x) - x|^norm among shrunken min-max ranges. */
export async function searchWeight(
  { weight, grid, args }: WeightObservation,
  options: Readonly<SearchOptions>,
): Promise<Range> {
  const search = new MseSearch(grid, await weight.range(grid), args, weight.dtype, options);
  for await (const { x } of weight.chunks()) search.update(x);
  return search.finish();
}

/** The same of a batch of a value, x[T, C] with blocks of `size` columns; NaN where x is not finite. */
function searchBatch(
  x: Float32Array,
  { columns, size, args, dtype, options }: ValueSpec,
  defaults: SearchOptions,
): Range {
  if (args === null) throw new TensorpressError('INTERNAL', 'a search for the best range without a scheme');
  const tokens = x.length / columns;
  const grid = makeGrid(tokens, columns, tokens, size);
  const range = emptyRange(grid);
  if (firstNonFinite(x) >= 0) return { min: range.min.fill(NaN), max: range.max.fill(NaN) };
  accumulateRange(x, 0, grid, range);
  const search = new MseSearch(grid, range, args, dtype, { ...defaults, ...(options as Partial<SearchOptions>) });
  search.update(x);
  return search.finish();
}

/** The best range of each block; of values that flow, of each batch by itself, and then of the batches that are remembered. */
function searching(name: string, defaults: Readonly<SearchOptions>, memory: Memory): Observer {
  return defineObserver({
    names: [name],
    weightRange: observation =>
      searchWeight(observation, { ...defaults, ...(observation.args.observer_kwargs as Partial<SearchOptions>) }),
    values: {
      reduce: () => [],
      init: startRange,
      update(state, [value], seen, spec) {
        const x = value instanceof Float32Array ? value : Float32Array.from(value!);
        enterBatch(state, searchBatch(x, spec, defaults), memory, seen, spec);
      },
      finish: finishRange,
    },
  });
}

export const memorylessMse = searching('memoryless_mse', MSE, 'last');
export const mse = searching('mse', MSE, 'average');
export const expandedMse = searching('nvfp4_expanded_mse', NVFP4_EXPANDED_MSE, 'last');
