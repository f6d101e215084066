// GPTQ's column after column: the twins of `subtractTerms` and `formError` in src/numerics/feedback.ts. What is a column of the weight is a
// row here.

import { BF16, F16, padded } from './widen';
import { round } from './scale';

/** w[r] -= e[l, r] * u[l], one l after the other; 16 numbers of w at a time stay in registers. */
export function subtractTerms(w: usize, rows: i32, e: usize, eStride: i32, u: usize, uStride: i32, k: i32): void {
  const end = w + (<usize>padded(rows) << 2);
  for (; w < end; w += 64, e += 64) {
    let w0 = v128.load(w);
    let w1 = v128.load(w, 16);
    let w2 = v128.load(w, 32);
    let w3 = v128.load(w, 48);
    let from = e;
    let at = u;
    for (let l = 0; l < k; l++, from += <usize>eStride << 2, at += <usize>uStride << 2) {
      const factor = v128.load32_splat(at);
      w0 = f32x4.sub(w0, f32x4.mul(v128.load(from), factor));
      w1 = f32x4.sub(w1, f32x4.mul(v128.load(from, 16), factor));
      w2 = f32x4.sub(w2, f32x4.mul(v128.load(from, 32), factor));
      w3 = f32x4.sub(w3, f32x4.mul(v128.load(from, 48), factor));
    }
    v128.store(w, w0);
    v128.store(w, w1, 16);
    v128.store(w, w2, 32);
    v128.store(w, w3, 48);
  }
}

/** e = (w - T[q]) / d and loss += e² / 2. */
export function formError(w: usize, q: usize, T: i32, d: f32, rows: i32, e: usize, loss: usize): void {
  if (T == BF16) formAll<u16>(w, q, d, rows, e, loss);
  else if (T == F16) formAll<i16>(w, q, d, rows, e, loss);
  else formAll<f32>(w, q, d, rows, e, loss);
}

@inline
function formAll<T>(w: usize, q: usize, d: f32, rows: i32, e: usize, loss: usize): void {
  const end = w + (<usize>padded(rows) << 2);
  const divisor = f32x4.splat(d);
  for (; w < end; w += 16, q += 16, e += 16, loss += 32) {
    const rounded = round<T>(v128.load(q));
    v128.store(q, rounded);
    const v = f32x4.div(f32x4.sub(v128.load(w), rounded), divisor);
    v128.store(e, v);
    add(loss, f64x2.promote_low_f32x4(v));
    add(loss + 16, f64x2.promote_low_f32x4(i32x4.shuffle(v, v, 2, 3, 2, 3)));
  }
}

@inline
function add(loss: usize, e: v128): void {
  v128.store(loss, f64x2.add(v128.load(loss), f64x2.mul(f64x2.mul(e, e), f64x2.splat(0.5))));
}
