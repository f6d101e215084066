import type { Tensor, Tensor3D } from '@tensorflow/tfjs-core';
import type { Op, Value } from '../../model/graph.js';
import { products } from './product.js';
import type { RunArrays } from './run.js';

/** Scores that exist at a time. */
const SCORES = 8 << 20;
/** What is added to the score of a key that a query does not see; its softmax is 0. */
const UNSEEN = -1e30;

/**
 * Attention in chunks of queries. The sealed keys and values stand behind the exact ones as keys of their own: each query sees one of the two.
 */
export function attention(op: Op<'attention'>, run: RunArrays): Tensor {
  const { heads, kvHeads, headDim, scale, cap } = op.with;
  const { tf } = run.backend;
  const sees = visibility(op, run);
  const S = run.shape(op.in.positions)[0]!;
  const B = run.shape(op.in.q)[0]! / S;
  const N = B * kvHeads;
  const G = heads / kvHeads;

  /** The arrays, one after the other along the tokens of each sequence: [B, tokens, kvHeads, headDim] */
  const along = (...values: (Value | undefined)[]): Tensor =>
    tf.concat(
      values
        .filter(value => value !== undefined)
        .map(value => tf.reshape(run.at(value), [B, run.shape(value)[0]! / B, kvHeads, headDim])),
      1,
    );
  const { q, k, v, pastK, pastV, sealedK, sealedV } = op.in;
  const queries = tf.transpose(tf.reshape(tf.mul(run.at(q), scale), [B, S, heads, headDim]), [0, 2, 1, 3]);
  const q4 = tf.reshape(queries, [N, G, S, headDim]);
  const keys = tf.reshape(tf.transpose(along(pastK, k, sealedK), [0, 2, 3, 1]), [N, headDim, sees.keys]) as Tensor3D;
  const values = tf.reshape(tf.transpose(along(pastV, v, sealedV), [0, 2, 1, 3]), [N, sees.keys, headDim]) as Tensor3D;

  const chunk = Math.max(1, Math.floor(SCORES / (B * heads * sees.keys)));
  const chunks: Tensor[] = [];
  for (let from = 0; from < S; from += chunk) {
    const count = Math.min(chunk, S - from);
    chunks.push(
      tf.tidy(() => {
        const { first, end, mask } = sees.of(from, count);
        const n = end - first;
        const some = tf.reshape(tf.slice(q4, [0, 0, from, 0], [-1, -1, count, -1]), [N, G * count, headDim]);
        const scores = products(run.backend, some as Tensor3D, tf.slice(keys, [0, 0, first], [-1, -1, n]));
        const capped = cap === null ? scores : tf.mul(tf.tanh(tf.div(scores, cap)), cap);
        const seen = tf.add(tf.reshape(capped, [N * G, count, n]), tf.tensor2d(mask, [count, n]));
        const weights = tf.reshape(tf.softmax(seen), [N, G * count, n]) as Tensor3D;
        const mixed = products(run.backend, weights, tf.slice(values, [0, first, 0], [-1, n, -1]));
        return tf.reshape(mixed, [B, heads, count, headDim]);
      }),
    );
  }
  return tf.reshape(tf.transpose(tf.concat(chunks, 2), [0, 2, 1, 3]), [B * S, heads * headDim]);
}

interface Visibility {
  /** Exact and sealed ones together. */
  readonly keys: number;
  /** What the queries from ... from + count - 1 see: keys first ... end - 1, and of those the ones with 0 in the mask [count, end - first]. */
  readonly of: (from: number, count: number) => { first: number; end: number; mask: Float32Array<ArrayBuffer> };
}

function visibility(
  { in: { positions, pastPositions, sealed }, with: { window } }: Op<'attention'>,
  { host }: RunArrays,
): Visibility {
  const own = host(positions);
  const past = pastPositions === undefined ? new Int32Array(0) : host(pastPositions);
  const exact = past.length + own.length;
  const keys = sealed === undefined ? exact : 2 * exact;
  const at = new Int32Array(exact);
  at.set(past);
  at.set(own, past.length);
  const chosen = sealed === undefined ? undefined : host(sealed);

  const of: Visibility['of'] = (from, count) => {
    const whole = new Float32Array(count * keys).fill(UNSEEN);
    let first = keys;
    let end = 0;
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < exact; j++) {
        const distance = own[from + i]! - at[j]!;
        if (distance < 0 || (window !== null && distance >= window)) continue;
        const key = chosen?.[(from + i) * exact + j] === 1 ? exact + j : j;
        whole[i * keys + key] = 0;
        if (key < first) first = key;
        if (key >= end) end = key + 1;
      }
    }
    const n = end - first;
    const mask = new Float32Array(count * n);
    for (let i = 0; i < count; i++) mask.set(whole.subarray(i * keys + first, i * keys + end), i * n);
    return { first, end, mask };
  };
  return { keys, of };
}
