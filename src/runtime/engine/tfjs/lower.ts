import { TensorpressError } from '../../../errors.js';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation, Op, OpName } from '../../model/graph.js';
import { fake_quantize } from '../reference/fake-quantize.js';
import { route } from '../reference/rows.js';
import { attention } from './attention.js';
import type { Tf } from './backend.js';
import { gathered, onHost } from './host.js';
import { product } from './product.js';
import type { RunArrays } from './run.js';

/** What an op computes, on the device; intermediate tensors are left to the caller's tidy. */
export function lower(op: Op, run: RunArrays): Tensor {
  return (LOWERINGS[op.op] as (op: Op, run: RunArrays) => Tensor)(op, run);
}

const LOWERINGS: { readonly [N in OpName]: (op: Op<N>, run: RunArrays) => Tensor } = {
  gather({ in: { table, ids } }, { backend: { tf }, at, host, onDevice, shape }) {
    if (onDevice(table)) return tf.gather(at(table), at(ids));
    const [rows, width] = shape(table) as [number, number];
    return tf.tensor(gathered(host(table), rows, width, host(ids)), [shape(ids)[0]!, width]);
  },

  linear({ in: { x, weight, bias } }, { backend, at }) {
    const y = product(backend, at(x) as Tensor2D, at(weight) as Tensor2D);
    return bias === undefined ? y : backend.tf.add(y, at(bias));
  },

  rms_norm({ in: { x, weight }, with: { eps, offset, size } }, { backend: { tf }, at, shape }) {
    const rows = tf.reshape(at(x), [-1, size]);
    const mean = tf.mean(tf.square(rows), 1, true);
    const factor = offset === 0 ? at(weight) : tf.add(at(weight), offset);
    return tf.reshape(tf.mul(tf.div(rows, tf.sqrt(tf.add(mean, eps))), factor), [...shape(x)]);
  },

  rope({ in: { x, cos, sin }, with: { headDim } }, { backend: { tf }, at, shape }) {
    const [tokens, width] = shape(x) as [number, number];
    const [length, r] = shape(cos) as [number, number];
    const heads = width / headDim;
    const all = tf.reshape(at(x), [tokens / length, length, heads, headDim]);
    const [first, second, rest] = tf.split(all, [r, r, headDim - 2 * r], 3) as [Tensor, Tensor, Tensor];
    const [c, s] = [cos, sin].map(table => tf.reshape(at(table), [1, length, 1, r])) as [Tensor, Tensor];
    const turned = [tf.sub(tf.mul(first, c), tf.mul(second, s)), tf.add(tf.mul(second, c), tf.mul(first, s))];
    return tf.reshape(tf.concat(2 * r === headDim ? turned : [...turned, rest], 3), [tokens, width]);
  },

  attention,

  gated: ({ in: { gate, up }, with: { act } }, { backend: { tf }, at }) =>
    tf.mul(ACTIVATIONS[act](tf, at(gate)), at(up)),

  add: ({ in: { a, b } }, { backend: { tf }, at }) => tf.add(at(a), at(b)),

  scale: ({ in: { x }, with: { factor } }, { backend: { tf }, at }) => tf.mul(at(x), factor),

  softcap: ({ in: { x }, with: { cap } }, { backend: { tf }, at }) => tf.mul(tf.tanh(tf.div(at(x), cap)), cap),

  columns: ({ in: { x }, with: { from, to } }, { backend: { tf }, at }) => tf.slice(at(x), [0, from], [-1, to - from]),

  route: onHost(route),

  experts() {
    throw new TensorpressError('INTERNAL', 'a mixture of experts is taken apart before an engine sees it');
  },

  transform({ in: { x, matrix }, with: { factor } }, { backend: { tf }, at, shape }) {
    const blocks = tf.reshape(at(x), [-1, shape(matrix)[0]!]);
    return tf.reshape(tf.mul(tf.matMul(blocks, at(matrix)), factor), [...shape(x)]);
  },

  fake_quantize: onHost(fake_quantize),

  log_sum_exp({ in: { x } }, { backend: { tf }, at }) {
    const m = tf.max(at(x), 1, true);
    return tf.concat([m, tf.sum(tf.exp(tf.sub(at(x), m)), 1, true)], 1);
  },

  divergence({ in: { a, b } }, { backend: { tf }, at }) {
    const half = (x: Tensor) => {
      const m = tf.max(x, 1, true);
      const weights = tf.exp(tf.sub(x, m));
      const top = tf.expandDims(tf.cast(tf.argMax(x, 1), 'float32'), 1);
      return { weights, sums: [m, tf.sum(weights, 1, true), top] };
    };
    const { weights, sums } = half(at(a));
    const difference = tf.sub(at(a), at(b));
    const products = [weights, difference].map(factor => tf.sum(tf.mul(factor, difference), 1, true));
    return tf.concat([...sums, ...half(at(b)).sums, ...products], 1);
  },

  range({ in: { x }, with: { size } }, { backend: { tf }, at }) {
    // extremes pass over some NaN; 0 x is NaN for every number that is not finite
    const blocks = (columns: Tensor): Tensor => tf.reshape(columns, [-1, size]);
    const flaw = tf.sum(blocks(tf.sum(tf.mul(at(x), 0), 0)), 1);
    const [min, max] = [tf.min(blocks(tf.min(at(x), 0)), 1), tf.max(blocks(tf.max(at(x), 0)), 1)];
    return tf.stack([tf.add(min, flaw), tf.add(max, flaw)]);
  },

  squares: ({ in: { x } }, { backend: { tf }, at }) => tf.sum(tf.square(at(x)), 0, true),

  magnitudes: ({ in: { x } }, { backend: { tf }, at }) => tf.sum(tf.abs(at(x)), 0, true),

  gram({ in: { x, sum }, with: { from, to } }, { backend: { tf }, at }) {
    const columns = (end: number): Tensor2D => tf.slice(at(x) as Tensor2D, [0, from], [-1, end - from]);
    const product = tf.matMul(tf.transpose(columns(to)), columns(at(x).shape[1]!));
    return sum === undefined ? product : tf.add(product, at(sum));
  },

  pick({ in: { x, index } }, { backend: { tf }, at, host, shape }) {
    const [tokens, columns] = shape(x) as [number, number];
    const places = host(index).slice() as Int32Array;
    const inside = new Uint8Array(tokens);
    places.forEach((column, t) => {
      inside[t] = column >= 0 && column < columns ? 1 : 0;
      places[t] = t * columns + (inside[t] === 1 ? column : 0);
    });
    const picked = tf.gather(tf.reshape(at(x), [-1]), tf.tensor1d(places, 'int32'));
    return tf.reshape(tf.where(tf.tensor1d(inside, 'bool'), picked, tf.zerosLike(picked)), [tokens, 1]);
  },
};

const ACTIVATIONS: Readonly<Record<Activation, (tf: Tf, x: Tensor) => Tensor>> = {
  silu: (tf, x) => tf.mul(x, tf.sigmoid(x)),
  gelu: (tf, x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
  gelu_tanh: (tf, x) => {
    const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI));
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
  },
  relu: (tf, x) => tf.relu(x),
  relu2: (tf, x) => tf.square(tf.relu(x)),
  quick_gelu: (tf, x) => tf.mul(x, tf.sigmoid(tf.mul(x, 1.702))),
};
