import { defineObserver } from './observer.js';

/** Smallest and largest value of each block. */
export const minmax = defineObserver({
  names: ['minmax', 'static_minmax', 'memoryless_minmax'],
  weightRange: ({ weight, grid }) => weight.range(grid),
});
