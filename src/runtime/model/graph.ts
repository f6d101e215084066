import type { QuantizationArgs } from '../../schemes/args.js';

/**
 * Name of an array that flows through a graph. Sites, which observers, modifiers and caches use, are such names: `hidden` (what enters the
 * part), the name of a module for its output (`input_layernorm`, `self_attn.q_proj`, `mlp.down_proj`), `self_attn.q.pre_rope` and
 * `self_attn.q` before and after rope (k likewise, and `self_attn.v`), `self_attn.attention` (what o_proj reads), `mlp.gated` (what
 * down_proj reads), `mlp.routes`, `output`. With its part before it a site is unique: `layers.3.self_attn.k.pre_rope`.
 *
 * Hidden states are [B S, width]: B sequences of S tokens, one after the other.
 */
export type Value = string;

/** What acts between gate and up. */
export type Activation = 'silu' | 'gelu' | 'gelu_tanh' | 'relu' | 'relu2' | 'quick_gelu';

/**
 * The vocabulary of a model: for each op its arrays (`in`; a `?` marks those that may be absent) and its constants (`with`). T = B S tokens.
 * The definitions themselves are the code of the reference engine.
 */
export interface Ops {
  /** table[ids]: [rows, width], int32 [T] -> [T, width] */
  gather: { in: { table: Value; ids: Value }; with: object };
  /** x Wᵀ + b: [T, C], [R, C], [R] -> [T, R] */
  linear: { in: { x: Value; weight: Value; bias?: Value }; with: object };
  /** x / sqrt(mean x² + eps) (offset + w), over each `size` consecutive elements: [T, n size], [size] -> [T, n size] */
  rms_norm: { in: { x: Value; weight: Value }; with: { eps: number; offset: 0 | 1; size: number } };
  /**
   * Rotates the pairs (i, i + r) of the first 2 r elements of each head: [T, n headDim], cos and sin [S, r] -> [T, n headDim]. The rest of a
   * head passes.
   */
  rope: { in: { x: Value; cos: Value; sin: Value }; with: { headDim: number } };
  /**
   * softmax(cap tanh(q kᵀ scale / cap)) v: q [T, heads headDim], k and v [B S, kvHeads headDim] -> [T, heads headDim]. Keys are those of the
   * past (pastK, pastV [B P, ...] with pastPositions [P]), then the S of this run. Position i sees position j where j <= i, and i - j < window
   * where there is one. Where sealed (uint8 [S, P + S]) is 1, the key and value are those of sealedK and sealedV [B (P + S), ...].
   */
  attention: {
    in: {
      q: Value;
      k: Value;
      v: Value;
      /** int32 [S], of the queries. */
      positions: Value;
      pastK?: Value;
      pastV?: Value;
      pastPositions?: Value;
      sealedK?: Value;
      sealedV?: Value;
      sealed?: Value;
    };
    with: { heads: number; kvHeads: number; headDim: number; scale: number; window: number | null; cap: number | null };
  };
  /** act(gate) up: [T, C] twice -> [T, C] */
  gated: { in: { gate: Value; up: Value }; with: { act: Activation } };
  /** a + b */
  add: { in: { a: Value; b: Value }; with: object };
  /** factor x */
  scale: { in: { x: Value }; with: { factor: number } };
  /** cap tanh(x / cap) */
  softcap: { in: { x: Value }; with: { cap: number } };
  /** Columns [from, to): [T, C] -> [T, to - from] */
  columns: { in: { x: Value }; with: { from: number; to: number } };
  /**
   * What each expert weighs for each token, 0 for those that are not chosen: softmax over [T, E], the `top` largest (on a tie the lower index),
   * divided by their sum if `normalize` -> [T, E]
   */
  route: { in: { x: Value }; with: { top: number; normalize: boolean } };
  /**
   * sum_e routes[:, e] expert_e(x): [T, width], [T, E] -> [T, width]. `body` are the ops of one expert from `x` to `output`, with weights named
   * without `prefix.e.`. No engine sees this op: `stages` takes it apart.
   */
  experts: { in: { x: Value; routes: Value }; with: { count: number; prefix: string; body: readonly Op[] } };
  /** Each block of n consecutive elements times the matrix: [T, m n], [n, n] -> [T, m n]; x M factor */
  transform: { in: { x: Value; matrix: Value }; with: { factor: number } };
  /**
   * Quantized and dequantized as a reader's kernels do it, in float32: [T, C] -> [T, C]. Without `scale` parameters come from x itself, with
   * `globalScale` [1] for NVFP4. token: one scale per row; group and tensor_group: one per group of a row; tensor: one for the whole array.
   * Stored are those of tensor, `scale` [1], and attn_head, [heads], one per C / heads columns; `zeroPoint`, in numbers of the signed range,
   * has the shape of `scale`.
   */
  fake_quantize: {
    in: { x: Value; scale?: Value; zeroPoint?: Value; globalScale?: Value };
    with: { args: QuantizationArgs };
  };
  /** [T, C] -> [T, 2]: m = max x, sum exp(x - m) */
  log_sum_exp: { in: { x: Value }; with: object };
  /**
   * What the logits a of a base and b of a model say of each other: [T, C] twice -> [T, 8]: m_a = max a, sum exp(a - m_a), the first index of
   * m_a; the same three of b; sum exp(a - m_a) (a - b); sum (a - b)². Sums of pieces of the vocabulary are put together by `Divergence`.
   */
  divergence: { in: { a: Value; b: Value }; with: object };
  /**
   * What an observer wants of x, over all tokens: minimum and maximum of each `size` consecutive columns, NaN where one of them is not finite:
   * [T, C] -> [2, C / size]
   */
  range: { in: { x: Value }; with: { size: number } };
  /** sum_t x²: [T, C] -> [1, C] */
  squares: { in: { x: Value }; with: object };
  /** sum_t |x|: [T, C] -> [1, C] */
  magnitudes: { in: { x: Value }; with: object };
  /**
   * Rows [from, to) of xᵀ x, from their diagonal on: x[:, from : to]ᵀ x[:, from :], [T, C] -> [to - from, C - from]; added to `sum`, of the same
   * shape, where there is one. `exact`: in float64, where the device has it; without `sum`.
   */
  gram: { in: { x: Value; sum?: Value }; with: { from: number; to: number; exact: boolean } };
  /** x[t, index[t]], 0 where the index lies outside: [T, C], int32 [T] -> [T, 1] */
  pick: { in: { x: Value; index: Value }; with: object };
}

export type OpName = keyof Ops;

export type Op<Name extends OpName = OpName> = {
  readonly [N in Name]: { readonly op: N; readonly out: Value } & { readonly [K in keyof Ops[N]]: Readonly<Ops[N][K]> };
}[Name];

/** A part as a function: of `hidden` (the embedding: of `ids`), of weights, and of what comes with each run (`positions`, rope tables). */
export interface Graph {
  /** In order of computation; the value of the last is `output`. */
  readonly ops: readonly Op[];
  /** Put before the name of a weight it gives the tensor: `model.layers.3.` */
  readonly prefix: string;
  /** Names of the weights, without the prefix; those of experts are named by their op. */
  readonly weights: readonly Value[];
  /**
   * Further names of values. A value has the last of its names: where nothing lies between projection and rope, `self_attn.q_proj` is
   * `self_attn.q.pre_rope`; what a layer without rope projects is `self_attn.q` by three names.
   */
  readonly aliases: Readonly<Record<Value, Value>>;
  /** Names of the tables that rope ops read, `<name>.cos` and `<name>.sin`, keys of `Decoder.ropes`. */
  readonly ropes: readonly string[];
}

/** How the angles of a rotary embedding come about; see `ropeTable`. */
export interface Rope {
  /** Elements of a head that are rotated. */
  readonly dim: number;
  readonly theta: number;
  /** `rope_parameters` of config.json: `rope_type` and what belongs to it. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** `max_position_embeddings`, from which some types start. */
  readonly maxPositions?: number;
}

/** A model as graphs: one for the embedding, one for each layer, one for the head. Layers of equal structure share a program. */
export interface Decoder {
  readonly hidden: number;
  readonly vocabulary: number;
  readonly ropes: Readonly<Record<string, Rope>>;
  /** `ids` -> `output`. */
  readonly embedding: Graph;
  /** `hidden`, `positions`, rope tables -> `output`; index 0 ... layers - 1. */
  readonly layers: readonly Graph[];
  /** `hidden` -> `output`: the logits. Its Linear is the last op that reads a weight, so that it can run on rows of that weight. */
  readonly head: Graph;
}

/**
 * The value at a site, by any of its names.
 * @throws Error when the graph has no such site
 */
export function valueAt({ ops, aliases }: Pick<Graph, 'ops' | 'aliases'>, site: Value): Value {
  const value = Object.hasOwn(aliases, site) ? aliases[site]! : site;
  if (value !== 'hidden' && !ops.some(({ out }) => out === value)) throw new Error(`no site ${site}`);
  return value;
}

/** The arrays that an op reads, in a fixed order. */
export function readsOf(op: Op): Value[] {
  return Object.values(op.in).filter((value): value is Value => value !== undefined);
}
