import type { Op } from '../../model/graph.js';
import type { Device } from '../engine.js';
import { int, type Builder, type Dim, type Wire } from './builder.js';

type Arrays = { readonly [K in keyof Op<'attention'>['in']]: Wire };

export interface AttentionOptions {
  /** Whether positions, those of the past first, only grow: then what no query of a chunk can see is known beforehand. */
  readonly ordered: boolean;
  readonly device: Device;
  /** At most so many keys are expected. */
  readonly keys: number;
}

/**
 * Bytes that the scores of one chunk of queries may take. Between small chunks there is more that no query sees and that is left out, and on a
 * processor they stay in its caches.
 */
const CHUNK_BYTES: Readonly<Record<Device, number>> = {
  cpu: 2 * 2 ** 20,
  wasm: 2 * 2 ** 20,
  webgpu: 128 * 2 ** 20,
  cuda: 256 * 2 ** 20,
};

/** Adds to the score of a key that a query does not see; finite, since shaders know no infinity. */
const UNSEEN = -1e30;

/**
 * Attention over chunks of queries, so that scores never take more than a part of [B, heads, S, K]. The queries of all heads that share a key
 * head lie one below the other, so that keys need no copy for each head.
 */
export function lowerAttention(
  b: Builder,
  arrays: Arrays,
  { heads, kvHeads, headDim, scale, window, cap }: Op<'attention'>['with'],
  { ordered, device, keys: expected }: AttentionOptions,
): Wire {
  const S = arrays.positions.shape[0]!;
  const B = arrays.q.shape[0]! / S;
  const share = heads / kvHeads;
  /** [B K, kvHeads D] -> [B, K, kvHeads, D] */
  const split = (x: Wire): Wire => b.reshape(x, B, x.shape[0] === undefined ? -1 : x.shape[0] / B, kvHeads, headDim);
  const byHead = (x: Wire): Wire => b.transpose(split(x), 0, 2, 1, 3);
  const after = (past: Wire | undefined, x: Wire): Wire =>
    past === undefined ? byHead(x) : b.transpose(b.concat(1, split(past), split(x)), 0, 2, 1, 3);

  const k = after(arrays.pastK, arrays.k);
  const v = after(arrays.pastV, arrays.v);
  const sealedK = arrays.sealedK && byHead(arrays.sealedK);
  const sealedV = arrays.sealedV && byHead(arrays.sealedV);
  const sealed = arrays.sealed && b.cast(arrays.sealed, 'bool');
  const keyPositions = b.concat(0, ...(arrays.pastPositions ? [arrays.pastPositions] : []), arrays.positions);
  const K = keyPositions.shape[0];
  const q = b.reshape(arrays.q, B, S, kvHeads, share, headDim);

  const chunk = (from: number, to: number): Wire => {
    const n = to - from;
    const range: readonly [number, number] = ordered ? keyRange({ from, to, S, K, window }) : [0, Infinity];
    const rows = (x: Wire): Wire =>
      b.reshape(b.transpose(b.slice(x, 1, from, to), 0, 2, 3, 1, 4), B, kvHeads, share * n, headDim);
    const keys = (x: Wire): Wire => b.slice(x, 2, ...range);
    const scores = (queries: Wire, of: Wire): Wire => b.products(queries, of, scale);
    /** [B, kvHeads, share n, K] -> [B, heads, n, K] and back */
    const perHead = (x: Wire): Wire => b.reshape(x, B, heads, n, x.shape[3] ?? -1);
    const perKeyHead = (x: Wire): Wire => b.reshape(x, B, kvHeads, share * n, x.shape[3] ?? -1);

    const queries = rows(q);
    const chosen = sealed && b.slice(b.slice(sealed, 0, from, to), 1, ...range);
    let s = perHead(scores(queries, keys(k)));
    if (chosen) s = b.where(chosen, perHead(scores(queries, keys(sealedK!))), s);
    if (cap !== null) s = b.binary('Mul', b.unary('Tanh', b.binary('Div', s, cap)), cap);
    const unseen = mask(b, b.slice(arrays.positions, 0, from, to), b.slice(keyPositions, 0, ...range), window);
    const p = b.unary('Softmax', b.binary('Add', s, unseen), { axis: int(-1) });
    const mix = (weights: Wire, of: Wire): Wire =>
      b.node('MatMul', [perKeyHead(weights), of], [B, kvHeads, share * n, headDim]);
    const mixed = chosen
      ? b.binary('Add', mix(b.where(chosen, 0, p), keys(v)), mix(b.where(chosen, p, 0), keys(sealedV!)))
      : mix(p, keys(v));
    return b.transpose(b.reshape(mixed, B, kvHeads, share, n, headDim), 0, 3, 1, 2, 4);
  };

  const size = Math.max(1, Math.min(S, Math.floor(CHUNK_BYTES[device] / (4 * B * heads * expected))));
  const chunks = Array.from({ length: Math.ceil(S / size) }, (_, i) => chunk(i * size, Math.min((i + 1) * size, S)));
  return b.reshape(b.concat(1, ...chunks), B * S, heads * headDim);
}

/**
 * Keys that some query of [from, to) sees, where positions only grow: none behind the last query, and none `window` or more keys before the
 * first. Bounds count from the end, where the queries' own keys lie, if the number K of keys is not known.
 */
function keyRange({
  from,
  to,
  S,
  K,
  window,
}: {
  from: number;
  to: number;
  S: number;
  K: Dim;
  window: number | null;
}): [number, number] {
  const end = K ?? 0;
  const last = to === S ? Infinity : end - (S - to);
  const first = window === null ? 0 : end - (S - from) - (window - 1);
  return [K === undefined ? first : Math.max(first, 0), last];
}

/** [n], [K] -> [n, K]: 0 where position i sees position j, else UNSEEN. */
function mask(b: Builder, i: Wire, j: Wire, window: number | null): Wire {
  const distance = b.binary('Sub', b.reshape(i, i.shape[0]!, 1), b.reshape(j, 1, j.shape[0] ?? -1));
  let sees = b.binary('GreaterOrEqual', distance, 0, 'bool');
  if (window !== null) sees = b.binary('And', sees, b.binary('Less', distance, window, 'bool'));
  return b.where(sees, 0, UNSEEN);
}
