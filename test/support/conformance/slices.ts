import type { Activation, Op, Value } from '../../../src/runtime/model/graph.js';
import { slice } from '../../../src/runtime/model/slice.js';
import { normalizeArgs } from '../../../src/schemes/args.js';
import { angles, draws, type Case, type Numbers } from './cases.js';

/** Sizes of a small layer. */
export interface Sizes {
  readonly hidden: number;
  readonly intermediate: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

export const SMALL: Sizes = { hidden: 48, intermediate: 100, heads: 6, kvHeads: 2, headDim: 16 };

/** Several ops at once: what a model is made of. */
export function sliceCases(): Case[] {
  const sites = ['self_attn.q', 'self_attn.k', 'self_attn.v', 'self_attn.attention', 'mlp.gated', 'output'];
  return [
    layer('a Llama layer', llamaLayer(SMALL), ['output'], { B: 2, S: 5 }),
    layer('a Llama layer with its sites', llamaLayer(SMALL), sites, { B: 1, S: 7 }),
    layer('one token of a Llama layer after nine', llamaLayer(SMALL, { past: true }), ['output'], { B: 3, S: 1, P: 9 }),
    layer('a Gemma layer', gemmaLayer(SMALL), ['output', 'self_attn.q', 'pre_feedforward_layernorm'], { B: 2, S: 9 }),
    layer('the first half of a layer', llamaLayer(SMALL), ['self_attn.attention'], { B: 2, S: 3 }),
    embedding(),
    expert(),
    head(),
    quantizedLinears(),
  ];
}

const linear = (x: Value, name: string, out = name): Op => ({
  op: 'linear',
  in: { x, weight: `${name}.weight` },
  with: {},
  out,
});
const norm = (x: Value, name: string, size: number, offset: 0 | 1 = 0): Op => ({
  op: 'rms_norm',
  in: { x, weight: `${name}.weight` },
  with: { eps: 1e-6, offset, size },
  out: name,
});
const add = (a: Value, b: Value, out: Value): Op => ({ op: 'add', in: { a, b }, with: {}, out });
const rope = (x: Value, headDim: number, out: Value): Op => ({
  op: 'rope',
  in: { x, cos: 'rope.cos', sin: 'rope.sin' },
  with: { headDim },
  out,
});
const PAST = { pastK: 'past.k', pastV: 'past.v', pastPositions: 'past.positions' };

function attention(
  { heads, kvHeads, headDim }: Sizes,
  past = false,
  { window, cap }: { window: number | null; cap: number | null } = { window: null, cap: null },
): Op {
  const arrays = {
    q: 'self_attn.q',
    k: 'self_attn.k',
    v: 'self_attn.v',
    positions: 'positions',
    ...(past ? PAST : {}),
  };
  const constants = { heads, kvHeads, headDim, scale: headDim ** -0.5, window, cap };
  return { op: 'attention', in: arrays, with: constants, out: 'self_attn.attention' };
}

function mlp(x: Value, act: Activation = 'silu'): Op[] {
  return [
    linear(x, 'mlp.gate_proj'),
    linear(x, 'mlp.up_proj'),
    { op: 'gated', in: { gate: 'mlp.gate_proj', up: 'mlp.up_proj' }, with: { act }, out: 'mlp.gated' },
    linear('mlp.gated', 'mlp.down_proj'),
  ];
}

/** The ops of a Llama layer, `hidden` -> `output`. */
export function llamaLayer(sizes: Sizes, { past = false } = {}): Op[] {
  const { hidden, headDim } = sizes;
  return [
    norm('hidden', 'input_layernorm', hidden),
    linear('input_layernorm', 'self_attn.q_proj'),
    linear('input_layernorm', 'self_attn.k_proj'),
    linear('input_layernorm', 'self_attn.v_proj', 'self_attn.v'),
    rope('self_attn.q_proj', headDim, 'self_attn.q'),
    rope('self_attn.k_proj', headDim, 'self_attn.k'),
    attention(sizes, past),
    linear('self_attn.attention', 'self_attn.o_proj'),
    add('hidden', 'self_attn.o_proj', 'between'),
    norm('between', 'post_attention_layernorm', hidden),
    ...mlp('post_attention_layernorm'),
    add('between', 'mlp.down_proj', 'output'),
  ];
}

/** With norms on both sides of each branch and on q and k, a window and a soft cap. */
function gemmaLayer(sizes: Sizes): Op[] {
  const { hidden, headDim } = sizes;
  return [
    norm('hidden', 'input_layernorm', hidden, 1),
    linear('input_layernorm', 'self_attn.q_proj'),
    linear('input_layernorm', 'self_attn.k_proj'),
    linear('input_layernorm', 'self_attn.v_proj', 'self_attn.v'),
    norm('self_attn.q_proj', 'self_attn.q_norm', headDim, 1),
    norm('self_attn.k_proj', 'self_attn.k_norm', headDim, 1),
    rope('self_attn.q_norm', headDim, 'self_attn.q'),
    rope('self_attn.k_norm', headDim, 'self_attn.k'),
    attention(sizes, false, { window: 4, cap: 50 }),
    linear('self_attn.attention', 'self_attn.o_proj'),
    norm('self_attn.o_proj', 'post_attention_layernorm', hidden, 1),
    add('hidden', 'post_attention_layernorm', 'between'),
    norm('between', 'pre_feedforward_layernorm', hidden, 1),
    ...mlp('pre_feedforward_layernorm', 'gelu_tanh'),
    norm('mlp.down_proj', 'post_feedforward_layernorm', hidden, 1),
    add('between', 'post_feedforward_layernorm', 'output'),
  ];
}

/** All arrays that a layer of these sizes may read, for B sequences of S tokens after P. */
export function layerArrays(
  { hidden, intermediate, heads, kvHeads, headDim }: Sizes,
  { B, S, P = 0 }: { B: number; S: number; P?: number },
  seed: number,
): Record<Value, Numbers> {
  const draw = draws(seed);
  const weight = (R: number, C: number) => draw.floats([R, C], C ** -0.5);
  const at = Int32Array.from({ length: P + S }, (_, i) => 3 + i + Math.floor(i / 4)); // with gaps
  const { cos, sin } = angles(at.subarray(P), headDim / 2);
  const kv = kvHeads * headDim;
  const past = {
    'past.k': draw.floats([B * P, kv]),
    'past.v': draw.floats([B * P, kv]),
    'past.positions': { shape: [P], data: at.slice(0, P) },
  };
  const norms = ['input', 'post_attention', 'pre_feedforward', 'post_feedforward'];
  return {
    hidden: draw.floats([B * S, hidden]),
    positions: { shape: [S], data: at.slice(P) },
    'rope.cos': cos,
    'rope.sin': sin,
    ...(P > 0 ? past : {}),
    'self_attn.q_proj.weight': weight(heads * headDim, hidden),
    'self_attn.k_proj.weight': weight(kv, hidden),
    'self_attn.v_proj.weight': weight(kv, hidden),
    'self_attn.o_proj.weight': weight(hidden, heads * headDim),
    'self_attn.q_norm.weight': draw.floats([headDim], 0.2),
    'self_attn.k_norm.weight': draw.floats([headDim], 0.2),
    'mlp.gate_proj.weight': weight(intermediate, hidden),
    'mlp.up_proj.weight': weight(intermediate, hidden),
    'mlp.down_proj.weight': weight(hidden, intermediate),
    ...Object.fromEntries(norms.map(name => [`${name}_layernorm.weight`, draw.floats([hidden])])),
  };
}

/** A case of ops, of the arrays among those given that it reads. */
function caseOf(title: string, ops: readonly Op[], outputs: readonly Value[], from: Record<Value, Numbers>): Case {
  const cut = slice(ops, outputs);
  return { title, slice: cut, arrays: Object.fromEntries(cut.inputs.map(name => [name, from[name]!])) };
}

function layer(title: string, ops: Op[], outputs: Value[], tokens: { B: number; S: number; P?: number }): Case {
  return caseOf(title, ops, outputs, layerArrays(SMALL, tokens, 300 + title.length));
}

function embedding(): Case {
  const draw = draws(320);
  const ops: Op[] = [
    { op: 'gather', in: { table: 'weight', ids: 'ids' }, with: {}, out: 'embed_tokens' },
    { op: 'scale', in: { x: 'embed_tokens' }, with: { factor: Math.sqrt(48) }, out: 'output' },
  ];
  return caseOf('a scaled embedding', ops, ['output'], { weight: draw.floats([90, 48]), ids: draw.ints(13, 0, 89) });
}

/** With a gate and an up projection in one weight, which columns take apart. */
function expert(): Case {
  const draw = draws(330);
  const ops: Op[] = [
    linear('x', 'gate_up_proj'),
    { op: 'columns', in: { x: 'gate_up_proj' }, with: { from: 0, to: 70 }, out: 'gate' },
    { op: 'columns', in: { x: 'gate_up_proj' }, with: { from: 70, to: 140 }, out: 'up' },
    { op: 'gated', in: { gate: 'gate', up: 'up' }, with: { act: 'silu' }, out: 'gated' },
    linear('gated', 'down_proj', 'output'),
  ];
  return caseOf('the body of an expert', ops, ['gated', 'output'], {
    x: draw.floats([5, 40]),
    'gate_up_proj.weight': draw.floats([140, 40], 0.2),
    'down_proj.weight': draw.floats([40, 70], 0.2),
  });
}

function head(): Case {
  const draw = draws(340);
  const ops: Op[] = [
    norm('hidden', 'norm', 48),
    linear('norm', 'lm_head'),
    { op: 'softcap', in: { x: 'lm_head' }, with: { cap: 30 }, out: 'output' },
    { op: 'log_sum_exp', in: { x: 'output' }, with: {}, out: 'log_sum_exp' },
    { op: 'pick', in: { x: 'output', index: 'index' }, with: {}, out: 'pick' },
  ];
  return caseOf('a head with the log likelihood of tokens', ops, ['log_sum_exp', 'pick', 'output'], {
    hidden: draw.floats([11, 48]),
    'norm.weight': draw.floats([48]),
    'lm_head.weight': draw.floats([301, 48], 0.5),
    index: draw.ints(11, -100, 330),
  });
}

/** What a compressed checkpoint adds to a layer. */
function quantizedLinears(): Case {
  const draw = draws(350);
  const args = normalizeArgs({ strategy: 'token', dynamic: true }).args!;
  const ops: Op[] = [
    { op: 'fake_quantize', in: { x: 'hidden' }, with: { args }, out: 'quantized' },
    linear('quantized', 'q_proj'),
    { op: 'transform', in: { x: 'q_proj', matrix: 'matrix' }, with: { factor: 0.25 }, out: 'output' },
  ];
  return caseOf('a Linear of quantized inputs under a rotation', ops, ['quantized', 'q_proj', 'output'], {
    hidden: draw.floats([9, 48]),
    'q_proj.weight': draw.floats([64, 48], 0.2),
    matrix: draw.floats([16, 16]),
  });
}
