import { defineObserver, type Observer } from './observer.js';
import { enterBatch, finishRange, startRange, type Memory } from './value-range.js';

/** Smallest and largest number of each block; of values that flow, those of the batches that are remembered. */
function extremes(name: string, memory: Memory): Observer {
  return defineObserver({
    names: [name],
    weightRange: ({ weight, grid }) => weight.range(grid),
    values: {
      reduce: ({ size }) => [{ op: 'range', with: { size } }],
      init: startRange,
      update(state, [reduced], seen, spec) {
        const blocks = state.min.length;
        enterBatch(state, { min: reduced!.subarray(0, blocks), max: reduced!.subarray(blocks) }, memory, seen, spec);
      },
      finish: finishRange,
    },
  });
}

/** Of values, the last batch. */
export const memorylessMinmax = extremes('memoryless_minmax', 'last');
/** Of values, all batches. */
export const staticMinmax = extremes('static_minmax', 'all');
/** Of values, the moving average over batches. */
export const minmax = extremes('minmax', 'average');
