import type { Hessian } from '../numerics/gptq.js';
import { assertObserved } from './finite.js';
import type { Reduction, Seen, ValueObserver } from './observer.js';

/**
 * Columns up to which products are summed in float64: GPTQ's codes are then the reference's, where one near tie would change the rest of a row.
 * Beyond, float64 would cost more than it tells.
 */
const EXACT = 512;

/** Rows of the matrix that one product gives: all from their own diagonal on, so that few elements below it are computed. */
const STRIPE = 256;

export interface GramState {
  readonly n: number;
  /** [n, n] row by row, of which the upper triangle is filled. */
  readonly values: Float64Array;
  tokens: number;
  sequences: number;
}

/** What is known of sum x xᵀ: the matrix, and how much data stands behind it. */
export interface Gram extends Hessian, Seen {}

/** sum x xᵀ over all tokens, in float64 over batches. What is made of it is up to `finish`. */
export function gram(finish: (state: Gram) => Gram): ValueObserver<GramState, Gram> {
  return {
    reduce: ({ columns }) => stripes(columns),
    init: ({ columns: n }) => ({ n, values: shared(n * n), tokens: 0, sequences: 0 }),
    update(state, reduced, seen) {
      stripes(state.n).forEach(({ with: { from, to } }, i) => addStripe(state, reduced[i]!, from, to));
      state.tokens += seen.tokens;
      state.sequences += seen.sequences;
    },
    finish(state) {
      // |x_iᵀ x_j| is at most the larger of |x_i|² and |x_j|²
      const diagonal = Float64Array.from({ length: state.n }, (_, i) => state.values[i * (state.n + 1)]!);
      assertObserved(state.tokens, diagonal);
      return finish(state);
    },
  };
}

/** Zeros that other threads see without a copy. */
function shared(length: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT));
}

function stripes(n: number): Extract<Reduction, { op: 'gram' }>[] {
  return Array.from({ length: Math.ceil(n / STRIPE) }, (_, i) => ({
    op: 'gram',
    with: { from: i * STRIPE, to: Math.min((i + 1) * STRIPE, n), exact: n <= EXACT },
  }));
}

/** Rows [from, to) from their diagonals on; `stripe` holds them from column `from` on. */
function addStripe({ n, values }: GramState, stripe: Float32Array | Float64Array, from: number, to: number): void {
  const width = n - from;
  for (let i = 0; i < to - from; i++) {
    const row = (from + i) * n + from;
    const batch = i * width;
    for (let j = i; j < width; j++) values[row + j]! += stripe[batch + j]!;
  }
}
