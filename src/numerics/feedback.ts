import { roundArray, type ModelDType } from './dtypes.js';
import type { Tile } from './product.js';

/** w[r] -= e[l, r] * u[l, 0] for l = 0, 1, ... k - 1, one after the other in float32: what the columns before leave to this one. */
export function subtractTerms(w: Float32Array, e: Tile<Float32Array>, u: Tile<Float32Array>, k: number): void {
  for (let l = 0, from = e.at, at = u.at; l < k; l++, from += e.stride, at += u.stride) {
    const factor = u.values[at]!;
    for (let r = 0; r < w.length; r++) w[r] = w[r]! - Math.fround(e.values[from + r]! * factor);
  }
}

/**
 * e[r] = (w[r] - T[q[r]]) / d in float32, and loss[r] += e[r]² / 2 in float64.
 * @param q dequantized; rounded to T in place
 */
export function formError(
  w: Float32Array,
  q: Float32Array,
  T: ModelDType,
  d: number,
  e: Float32Array,
  loss: Float64Array,
): void {
  roundArray(q, T);
  for (let r = 0; r < w.length; r++) {
    e[r] = Math.fround(w[r]! - q[r]!) / d;
    loss[r] = loss[r]! + (e[r]! * e[r]!) / 2;
  }
}
