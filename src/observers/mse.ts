import { MSE, MseSearch, NVFP4_EXPANDED_MSE, type SearchOptions } from '../numerics/mse.js';
import { minmax } from './minmax.js';
import { defineObserver, type Observer } from './observer.js';

/** The range of each block that minimises sum |fakequant(w) - w|^norm among shrunken min-max ranges. */
function searching(names: readonly string[], defaults: Readonly<SearchOptions>): Observer {
  return defineObserver({
    names,
    async weightRange(observation) {
      const { weight, grid, args } = observation;
      const options = { ...defaults, ...(args.observer_kwargs as Partial<SearchOptions>) };
      const search = new MseSearch(grid, await minmax.weightRange(observation), args, weight.dtype, options);
      for await (const { x } of weight.chunks()) search.update(x);
      return search.finish();
    },
  });
}

export const mse = searching(['mse', 'memoryless_mse'], MSE);
export const expandedMse = searching(['nvfp4_expanded_mse'], NVFP4_EXPANDED_MSE);
