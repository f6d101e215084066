import { TensorpressError } from '../../../errors.js';
import { blocks, matrix, vector, type Arrays, type Definition, type Floats } from './array.js';

/** Keys and values of L positions, [B L, kvHeads headDim]. */
interface Pair {
  readonly k: Float64Array;
  readonly v: Float64Array;
}

/** Query by query: scores of the keys that it sees, their softmax, the mean of the values. Memory grows with L, not with S L. */
export const attention: Definition<'attention'> = (arrays, { heads, kvHeads, headDim, scale, window, cap }) => {
  const { q, positions, sealed } = arrays;
  const [T] = matrix(q, undefined, heads * headDim);
  const S = vector(positions);
  const B = blocks(q, T, S);
  const width = kvHeads * headDim;
  const { exact, seal, at } = pairs(arrays, B, S, width);
  const L = at.length;
  const queriesPerKey = blocks(q, heads, kvHeads);

  const data = new Float64Array(T * heads * headDim);
  const weights = new Float64Array(L);
  for (let i = 0; i < S; i++) {
    const position = positions.data[i]!;
    const seen = [...at.keys()].filter(j => at[j]! <= position && (window === null || position - at[j]! < window));
    const sources = seen.map(j => (seal !== undefined && sealed!.data[i * L + j] === 1 ? seal : exact));
    for (let b = 0; b < B; b++) {
      for (let head = 0; head < heads; head++) {
        const query = ((b * S + i) * heads + head) * headDim;
        const key = b * L * width + Math.floor(head / queriesPerKey) * headDim;
        let max = -Infinity;
        for (let n = 0; n < seen.length; n++) {
          const { k } = sources[n]!;
          const from = key + seen[n]! * width;
          let score = 0;
          for (let d = 0; d < headDim; d++) score += q.data[query + d]! * k[from + d]!;
          score *= scale;
          weights[n] = cap === null ? score : cap * Math.tanh(score / cap);
          max = Math.max(max, weights[n]!);
        }
        let sum = 0;
        for (let n = 0; n < seen.length; n++) sum += weights[n] = Math.exp(weights[n]! - max);
        for (let n = 0; n < seen.length; n++) {
          const { v } = sources[n]!;
          const from = key + seen[n]! * width;
          const share = weights[n]! / sum;
          for (let d = 0; d < headDim; d++) data[query + d]! += share * v[from + d]!;
        }
      }
    }
  }
  return { shape: q.shape, data };
};

/** Past and present one after the other in each sequence, the sealed ones if there are any, and the position of each. */
function pairs(arrays: Arrays<'attention'>, B: number, S: number, width: number) {
  const { k, v, positions, pastK, pastV, pastPositions, sealedK, sealedV, sealed } = arrays;
  complete([pastK, pastV, pastPositions]);
  complete([sealedK, sealedV, sealed]);
  matrix(k, B * S, width);
  matrix(v, B * S, width);
  const P = pastPositions ? vector(pastPositions) : 0;
  for (const past of [pastK, pastV]) if (past) matrix(past, B * P, width);
  for (const array of [sealedK, sealedV]) if (array) matrix(array, B * (P + S), width);
  if (sealed) matrix(sealed, S, P + S);
  const exact: Pair = { k: follow(pastK, k, B), v: follow(pastV, v, B) };
  const seal: Pair | undefined = sealedK && sealedV && { k: sealedK.data, v: sealedV.data };
  return { exact, seal, at: follow(pastPositions, positions, 1) };
}

/** For each of B sequences its past, then its present. */
function follow(past: Floats | undefined, now: Floats, B: number): Float64Array {
  if (past === undefined) return now.data;
  const [p, n] = [past.data.length / B, now.data.length / B];
  const data = new Float64Array(B * (p + n));
  for (let b = 0; b < B; b++) {
    data.set(past.data.subarray(b * p, (b + 1) * p), b * (p + n));
    data.set(now.data.subarray(b * n, (b + 1) * n), b * (p + n) + p);
  }
  return data;
}

function complete(arrays: readonly (Floats | undefined)[]): void {
  const given = arrays.filter(array => array !== undefined);
  if (given.length === 0 || given.length === arrays.length) return;
  throw new TensorpressError(
    'INTERNAL',
    `attention reads ${given.map(({ name }) => name).join(', ')} without their companions`,
  );
}
