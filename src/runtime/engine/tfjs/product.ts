import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { Backend } from './backend.js';

/** x Wᵀ: [T, C], [R, C] -> [T, R] */
export function product({ tf, name }: Backend, x: Tensor2D, weight: Tensor2D): Tensor2D {
  if (name !== 'wasm') return tf.matMul(x, weight, false, true);
  // wasm is ten times slower where it has to transpose by itself; the smaller arrays are transposed for it
  const [T, C] = x.shape;
  const R = weight.shape[0];
  return T * (C + R) < R * C ? tf.transpose(tf.matMul(weight, tf.transpose(x))) : tf.matMul(x, tf.transpose(weight));
}

/** A_n B_n of each n: [N, a, b], [N, b, c] -> [N, a, c] */
export function products({ tf, name }: Backend, a: Tensor3D, b: Tensor3D): Tensor3D {
  if (name !== 'wasm') return tf.matMul(a, b);
  // wasm is fast for one product only
  const right = tf.unstack(b) as Tensor2D[];
  return tf.stack(tf.unstack(a).map((left, n) => tf.matMul(left as Tensor2D, right[n]!))) as Tensor3D;
}
