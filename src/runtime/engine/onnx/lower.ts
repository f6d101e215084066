import { TensorpressError } from '../../../errors.js';
import type { OnnxType } from '../../../formats/onnx.js';
import type { Activation, Op, OpName, Value } from '../../model/graph.js';
import type { Slice } from '../../model/slice.js';
import { lowerAttention, type AttentionOptions } from './attention.js';
import { Builder, float, int, type Dim, type Wire } from './builder.js';
import { lowerFakeQuantize } from './fake-quantize.js';

/** What is known of an input before it is there. */
export interface InputShape {
  readonly type: OnnxType;
  readonly shape: readonly Dim[];
}

export interface Lowered {
  readonly model: Uint8Array;
  readonly outputs: ReadonlyMap<Value, Pick<Wire, 'type' | 'shape'>>;
}

/** An op's arrays, under their names in `Ops`. */
type Arrays<Name extends OpName> = { readonly [K in keyof Op<Name>['in']]: Wire };
type Lowering<Name extends OpName> = (
  b: Builder,
  arrays: Arrays<Name>,
  constants: Op<Name>['with'],
  options: AttentionOptions,
) => Wire;

/** A slice as an ONNX model for inputs of these shapes; weights are inputs like all others, so that one model serves every layer. */
export function lower(slice: Slice, inputs: ReadonlyMap<Value, InputShape>, options: AttentionOptions): Lowered {
  const b = new Builder(options.device);
  const wires = new Map<Value, Wire>();
  for (const [name, { type, shape }] of inputs) wires.set(name, b.input(name, type, shape));
  for (const op of slice.ops) {
    const arrays = Object.fromEntries(
      Object.entries(op.in).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, wires.get(value as Value)!]],
      ),
    );
    const lowering = LOWERINGS[op.op] as (
      b: Builder,
      arrays: object,
      constants: object,
      options: AttentionOptions,
    ) => Wire;
    wires.set(op.out, lowering(b, arrays, op.with, options));
  }
  const outputs = new Map(slice.outputs.map(name => [name, wires.get(name)!]));
  return {
    model: b.encode(Object.fromEntries([...outputs].map(([name, wire]) => [outputName(name), wire]))),
    outputs,
  };
}

/** A value that is an output, under a name that no input has: some pass through. */
export function outputName(value: Value): string {
  return `${value}!`;
}

const LOWERINGS: { readonly [Name in OpName]: Lowering<Name> } = {
  gather: (b, { table, ids }) => b.node('Gather', [table, ids], [ids.shape[0], table.shape[1]]),

  linear: (b, { x, weight, bias }) =>
    b.node('Gemm', [x, weight, bias], [x.shape[0], weight.shape[0]], { attributes: { transB: int(1) } }),

  rms_norm: (b, { x, weight }, { eps, offset, size }) => {
    const rows = b.reshape(x, -1, size);
    const attributes = { epsilon: float(eps), axis: int(-1) };
    const factor = offset === 0 ? weight : b.binary('Add', weight, offset);
    const normed = b.node('SimplifiedLayerNormalization', [rows, factor], rows.shape, { attributes });
    return b.reshape(normed, x.shape[0] ?? -1, x.shape[1]!);
  },

  rope: (b, { x, cos, sin }, { headDim }) => {
    const [S, r] = cos.shape as [number, number];
    const heads = x.shape[1]! / headDim;
    const all = b.reshape(x, -1, S, heads, headDim);
    const [c, s] = [cos, sin].map(table => b.reshape(table, 1, S, 1, r)) as [Wire, Wire];
    const first = b.slice(all, 3, 0, r);
    const second = b.slice(all, 3, r, 2 * r);
    const rotated = [
      b.binary('Sub', b.binary('Mul', first, c), b.binary('Mul', second, s)),
      b.binary('Add', b.binary('Mul', second, c), b.binary('Mul', first, s)),
    ];
    const rest = 2 * r < headDim ? [b.slice(all, 3, 2 * r, headDim)] : [];
    return b.reshape(b.concat(3, ...rotated, ...rest), x.shape[0] ?? -1, x.shape[1]!);
  },

  attention: lowerAttention,

  gated: (b, { gate, up }, { act }) => b.binary('Mul', ACTIVATIONS[act](b, gate), up),

  add: (b, { a, b: other }) => b.binary('Add', a, other),

  scale: (b, { x }, { factor }) => b.binary('Mul', x, factor),

  softcap: (b, { x }, { cap }) => b.binary('Mul', b.unary('Tanh', b.binary('Div', x, cap)), cap),

  columns: (b, { x }, { from, to }) => b.slice(x, 1, from, to),

  route: (b, { x }, { top, normalize }) => {
    const p = b.unary('Softmax', x, { axis: int(-1) });
    const [T] = x.shape;
    const [largest, experts] = b.nodes(
      'TopK',
      [p, b.list(top)],
      [
        { shape: [T, top], type: 'float32' },
        { shape: [T, top], type: 'int64' },
      ],
    ) as [Wire, Wire];
    const weights = normalize ? b.binary('Div', largest, b.reduce('ReduceSum', largest)) : largest;
    const none = b.binary('Sub', p, p);
    return b.node('ScatterElements', [none, experts, weights], x.shape, { attributes: { axis: int(1) } });
  },

  experts: () => {
    throw new TensorpressError('INTERNAL', 'a mixture of experts is cut into slices before it is compiled');
  },

  transform: (b, { x, matrix }, { factor }) => {
    const n = matrix.shape[0]!;
    const blocks = b.reshape(x, -1, n);
    const product = b.binary('Mul', b.node('MatMul', [blocks, matrix], blocks.shape), factor);
    return b.reshape(product, x.shape[0] ?? -1, x.shape[1]!);
  },

  fake_quantize: lowerFakeQuantize,

  log_sum_exp: (b, { x }) => {
    const m = b.reduce('ReduceMax', x);
    return b.concat(1, m, b.reduce('ReduceSum', b.unary('Exp', b.binary('Sub', x, m))));
  },

  divergence: (b, { a, b: model }) => {
    const half = (x: Wire) => {
      const m = b.reduce('ReduceMax', x);
      const weights = b.unary('Exp', b.binary('Sub', x, m));
      const top = b.node('ArgMax', [x], m.shape, { attributes: { axis: int(-1) }, type: 'int64' });
      return { weights, sums: [m, b.reduce('ReduceSum', weights), b.cast(top, 'float32')] };
    };
    const { weights, sums } = half(a);
    const difference = b.binary('Sub', a, model);
    const products = [weights, difference].map(factor => b.reduce('ReduceSum', b.binary('Mul', factor, difference)));
    return b.concat(1, ...sums, ...half(model).sums, ...products);
  },

  range: (b, { x }, { size }) => {
    // onnxruntime's extremes pass over some NaN; 0 x is NaN for every number that is not finite
    const blocks = (columns: Wire): Wire => b.reshape(columns, -1, size);
    const flaw = b.reduce('ReduceSum', blocks(b.reduce('ReduceSum', b.binary('Mul', x, 0), 0)));
    const extreme = (op: 'ReduceMin' | 'ReduceMax'): Wire => {
      const found = b.binary('Add', b.reduce(op, blocks(b.reduce(op, x, 0))), flaw);
      return b.reshape(found, 1, x.shape[1]! / size);
    };
    return b.concat(0, extreme('ReduceMin'), extreme('ReduceMax'));
  },

  // not ReduceSumSquare and ReduceL1, which are several times slower along this axis
  squares: (b, { x }) => b.reduce('ReduceSum', b.binary('Mul', x, x), 0),

  magnitudes: (b, { x }) => b.reduce('ReduceSum', b.unary('Abs', x), 0),

  gram: (b, { x, sum }, { from, to, exact }, { device }) => {
    const type = exact && device === 'cpu' ? 'float64' : 'float32';
    const rows = b.cast(b.transpose(b.slice(x, 1, from, to), 1, 0), type);
    const others = b.cast(b.slice(x, 1, from, Infinity), type);
    const shape = [to - from, x.shape[1]! - from];
    // a product that begins with the sum needs no pass of its own to add it
    if (sum !== undefined) return b.node('Gemm', [rows, others, sum], shape);
    return b.node('MatMul', [rows, others], shape, { type });
  },

  pick: (b, { x, index }) => {
    const column = b.reshape(index, -1, 1);
    const last = x.shape[1]! - 1;
    const inside = b.binary(
      'And',
      b.binary('GreaterOrEqual', column, 0, 'bool'),
      b.binary('LessOrEqual', column, last, 'bool'),
    );
    const at = b.binary('Min', b.binary('Max', column, 0), last);
    const picked = b.node('GatherElements', [x, at], [x.shape[0], 1], { attributes: { axis: int(1) } });
    return b.where(inside, picked, 0);
  },
};

const ACTIVATIONS: { readonly [A in Activation]: (b: Builder, x: Wire) => Wire } = {
  silu: (b, x) => b.binary('Mul', x, b.unary('Sigmoid', x)),
  gelu: (b, x) =>
    b.binary('Mul', b.binary('Mul', x, 0.5), b.binary('Add', b.unary('Erf', b.binary('Mul', x, Math.SQRT1_2)), 1)),
  gelu_tanh: (b, x) => {
    const cubic = b.binary('Mul', b.binary('Mul', b.binary('Mul', x, x), x), 0.044715);
    const inner = b.binary('Mul', b.binary('Add', x, cubic), Math.sqrt(2 / Math.PI));
    return b.binary('Mul', b.binary('Mul', x, 0.5), b.binary('Add', b.unary('Tanh', inner), 1));
  },
  relu: (b, x) => b.unary('Relu', x),
  relu2: (b, x) => {
    const positive = b.unary('Relu', x);
    return b.binary('Mul', positive, positive);
  },
  quick_gelu: (b, x) => b.binary('Mul', x, b.unary('Sigmoid', b.binary('Mul', x, 1.702))),
};
