import type { Draft, Norm } from './draft.js';
import type { Activation, Value } from './graph.js';
import type { Settings } from './settings.js';

/** Attention of one layer. */
export interface Attention {
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Of q kᵀ. */
  readonly scale: number;
  /** Key of `Decoder.ropes`, null where nothing is rotated. */
  readonly rope: string | null;
  /** Keys that a query sees, its own among them; null: all before it. */
  readonly window: number | null;
  readonly cap: number | null;
  /** Which projections have a bias. */
  readonly bias: { readonly qkv: boolean; readonly o: boolean };
  /** How q and k are normalised per head, null where they are not. */
  readonly norm: Norm | null;
}

/** Biases of the families whose `attention_bias` speaks of all four projections. */
export function readAttentionBias(settings: Settings): Attention['bias'] {
  const bias = settings.flag('attention_bias', false);
  return { qkv: bias, o: bias };
}

interface Projected {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
}

/** Attention as config.json describes it, without window and cap, rotated by the table `rope`, and scaled by 1 / sqrt(headDim). */
export function readAttention(
  settings: Settings,
  /** Where config.json does not say: as many as q has, hidden / heads. */
  { kvHeads = null, headDim = null }: { readonly kvHeads?: number | null; readonly headDim?: number | null } = {},
): Attention {
  const hidden = settings.count('hidden_size');
  const heads = settings.count('num_attention_heads');
  const kv = settings.countOrNull('num_key_value_heads', kvHeads) ?? heads;
  const dim = settings.countOrNull('head_dim', headDim) ?? hidden / heads;
  if (!Number.isInteger(dim)) throw settings.wrong('num_attention_heads', heads, `a divisor of hidden_size, ${hidden}`);
  if (heads % kv !== 0) throw settings.wrong('num_key_value_heads', kv, `a divisor of num_attention_heads, ${heads}`);
  return {
    ...{ hidden, heads, kvHeads: kv, headDim: dim, scale: dim ** -0.5 },
    ...{ rope: 'rope', window: null, cap: null, bias: { qkv: false, o: false }, norm: null },
  };
}

/** q, k and v by three Linears, and norms of each head of q and k. */
function project(g: Draft, x: Value, { hidden, heads, kvHeads, headDim, rope, bias, norm }: Attention): Projected {
  const rotated = (name: 'q' | 'k', count: number): Value => {
    const out = preRope(g, name, rope);
    const shape = [count * headDim, hidden] as const;
    if (norm === null) return g.linear(x, `self_attn.${name}_proj`, shape, { out, bias: bias.qkv });
    const raw = g.linear(x, `self_attn.${name}_proj`, shape, { bias: bias.qkv });
    return g.norm(raw, `self_attn.${name}_norm`, headDim, norm, out);
  };
  return {
    q: rotated('q', heads),
    k: rotated('k', kvHeads),
    v: g.linear(x, 'self_attn.v_proj', [kvHeads * headDim, hidden], { out: 'self_attn.v', bias: bias.qkv }),
  };
}

/** q, k and v by one Linear, whose rows are theirs in this order. */
export function projectFused(
  g: Draft,
  x: Value,
  { hidden, heads, kvHeads, headDim, rope, bias }: Attention,
): Projected {
  const [q, k] = [heads * headDim, kvHeads * headDim];
  const all = g.linear(x, 'self_attn.qkv_proj', [q + 2 * k, hidden], { bias: bias.qkv });
  const columns = (out: Value, from: number, to: number) =>
    g.op({ op: 'columns', in: { x: all }, out, with: { from, to } });
  return {
    q: columns(preRope(g, 'q', rope), 0, q),
    k: columns(preRope(g, 'k', rope), q, q + k),
    v: columns('self_attn.v', q + k, q + 2 * k),
  };
}

function preRope(g: Draft, name: 'q' | 'k', rope: string | null): Value {
  const site = `self_attn.${name}.pre_rope`;
  if (rope !== null) return site;
  g.alias(site, `self_attn.${name}`);
  return `self_attn.${name}`;
}

/** o (attention (rope q, rope k, v)) */
export function attend(g: Draft, x: Value, attention: Attention, projected = project): Value {
  const { hidden, heads, kvHeads, headDim, scale, rope, window, cap, bias } = attention;
  const { v, ...raw } = projected(g, x, attention);
  const q = rope === null ? raw.q : g.rope(raw.q, rope, headDim, 'self_attn.q');
  const k = rope === null ? raw.k : g.rope(raw.k, rope, headDim, 'self_attn.k');
  const out = g.op({
    op: 'attention',
    in: { q, k, v, positions: 'positions' },
    out: 'self_attn.attention',
    with: { heads, kvHeads, headDim, scale, window, cap },
  });
  g.alias('self_attn', 'self_attn.o_proj');
  return g.linear(out, 'self_attn.o_proj', [hidden, heads * headDim], { bias: bias.o });
}

export interface Mlp {
  readonly hidden: number;
  readonly intermediate: number;
  readonly act: Activation;
  readonly bias: boolean;
}

/** An MLP without biases as config.json describes it. */
export function readMlp(settings: Settings, act: Activation = settings.activation('hidden_act', 'silu')): Mlp {
  return {
    hidden: settings.count('hidden_size'),
    intermediate: settings.count('intermediate_size'),
    act,
    bias: false,
  };
}

/** The same where `mlp_bias` speaks of biases; other families leave that field unread, so that it is refused. */
export function readBiasedMlp(settings: Settings): Mlp {
  return { ...readMlp(settings), bias: settings.flag('mlp_bias', false) };
}

/** The norm of all but Gemma. */
export function readNorm(settings: Settings, eps = 1e-6): Norm {
  return { eps: settings.number('rms_norm_eps', eps), offset: 0 };
}

/** down (act(gate x) * up x) */
export function gatedMlp(g: Draft, x: Value, { hidden, intermediate, act, bias }: Mlp): Value {
  const gate = g.linear(x, 'mlp.gate_proj', [intermediate, hidden], { bias });
  const up = g.linear(x, 'mlp.up_proj', [intermediate, hidden], { bias });
  const gated = g.op({ op: 'gated', in: { gate, up }, out: 'mlp.gated', with: { act } });
  g.alias('mlp', 'mlp.down_proj');
  return g.linear(gated, 'mlp.down_proj', [hidden, intermediate], { bias });
}

export interface Mixture {
  readonly hidden: number;
  readonly intermediate: number;
  readonly act: Activation;
  readonly count: number;
  readonly top: number;
  /** Whether the weights of the chosen experts are divided by their sum. */
  readonly normalize: boolean;
  /** Name of the mixture; its router is `gate`, its experts are `experts`. */
  readonly at: string;
  /** What the checkpoint calls an expert's matrices. */
  readonly names: { readonly gate: string; readonly up: string; readonly down: string };
}

/** The sum of the chosen experts' outputs, each times its weight. */
export function mixture(
  g: Draft,
  x: Value,
  { hidden, intermediate, act, count, top, normalize, at, names }: Mixture,
): Value {
  const { settings } = g;
  if (top > count) throw settings.wrong('num_experts_per_tok', top, `at most the number of experts, ${count}`);
  const shapes = {
    [names.gate]: [intermediate, hidden],
    [names.up]: [intermediate, hidden],
    [names.down]: [hidden, intermediate],
  };
  for (let e = 0; e < count; e++) {
    for (const [name, shape] of Object.entries(shapes)) g.expert(`${at}.experts.${e}.${name}.weight`, shape);
  }
  const logits = g.linear(x, `${at}.gate`, [count, hidden]);
  const routes = g.op({ op: 'route', in: { x: logits }, out: 'mlp.routes', with: { top, normalize } });
  g.alias(`${at}.experts`, at);
  return g.op({
    op: 'experts',
    in: { x, routes },
    out: at,
    with: {
      count,
      prefix: `${at}.experts`,
      body: [
        { op: 'linear', in: { x: 'x', weight: `${names.gate}.weight` }, out: names.gate, with: {} },
        { op: 'linear', in: { x: 'x', weight: `${names.up}.weight` }, out: names.up, with: {} },
        { op: 'gated', in: { gate: names.gate, up: names.up }, out: 'gated', with: { act } },
        { op: 'linear', in: { x: 'gated', weight: `${names.down}.weight` }, out: 'output', with: {} },
      ],
    },
  });
}
