import type { Range } from '../numerics/grid.js';
import { assertObserved } from './finite.js';
import type { Seen, ValueSpec } from './observer.js';

/** How the range of a batch joins those before it: the last one stands alone, all together, or as a moving average. */
export type Memory = 'last' | 'all' | 'average';

/** The range [min, max] of each block of a value, as far as it was seen. */
export interface ValueRange {
  tokens: number;
  readonly min: Float64Array;
  readonly max: Float64Array;
}

/** Before anything is seen. */
export function startRange({ columns, size }: ValueSpec): ValueRange {
  const blocks = columns / size;
  return { tokens: 0, min: new Float64Array(blocks), max: new Float64Array(blocks) };
}

/** The first batch counts as it is; m <- m (1 - c) + new c is the average, with c = averaging_constant. */
export function enterBatch(
  range: ValueRange,
  batch: { readonly min: ArrayLike<number>; readonly max: ArrayLike<number> },
  memory: Memory,
  seen: Seen,
  { options }: ValueSpec,
): void {
  const c = (options['averaging_constant'] as number | undefined) ?? 0.01;
  const first = range.tokens === 0;
  const join = (before: number, now: number, extreme: (a: number, b: number) => number): number => {
    if (first || memory === 'last') return now;
    return memory === 'all' ? extreme(before, now) : before * (1 - c) + now * c;
  };
  for (let b = 0; b < range.min.length; b++) {
    range.min[b] = join(range.min[b]!, batch.min[b]!, Math.min);
    range.max[b] = join(range.max[b]!, batch.max[b]!, Math.max);
  }
  range.tokens += seen.tokens;
}

/** @throws TensorpressError TENSOR when nothing was seen, or numbers that are not finite */
export function finishRange({ tokens, min, max }: ValueRange): Range {
  const range = { min: Float32Array.from(min), max: Float32Array.from(max) };
  assertObserved(tokens, range.min, range.max);
  return range;
}
