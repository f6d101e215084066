import assert from 'node:assert/strict';
import { dress, outside, tensorOf, type Dress } from '../../../src/runtime/model/dress.js';
import type { Graph, Op } from '../../../src/runtime/model/graph.js';
import { stages } from '../../../src/runtime/model/slice.js';
import { normalizeArgs, type QuantizationArgs } from '../../../src/schemes/args.js';

const args = (given: object): QuantizationArgs => normalizeArgs(given).args!;
const TOKEN = args({ num_bits: 8, strategy: 'token', dynamic: true });
const STATIC = args({ num_bits: 8, strategy: 'tensor', symmetric: false });
const HEADS = args({ num_bits: 8, type: 'float', strategy: 'attn_head' });

const bare: Dress = { linear: () => ({}), attention: () => ({}), transforms: () => [], has: () => true };
const linear = (module: string, x: string, out = module): Op<'linear'> => ({
  op: 'linear',
  out,
  in: { x, weight: `${module}.weight` },
  with: {},
});
const attention: Op<'attention'> = {
  op: 'attention',
  out: 'self_attn.attention',
  in: { q: 'q_proj', k: 'k_proj', v: 'v_proj', positions: 'positions' },
  with: { heads: 2, kvHeads: 1, headDim: 4, scale: 1, window: null, cap: null },
};
const graph = (ops: readonly Op[]): Graph => ({
  ops,
  prefix: 'model.layers.0.',
  weights: ops.flatMap(op => (op.op === 'linear' ? [op.in.weight] : [])),
  aliases: {},
  ropes: [],
});
const layer = graph([
  ...['q_proj', 'k_proj', 'v_proj'].map(name => linear(name, 'hidden')),
  attention,
  linear('o_proj', 'self_attn.attention', 'output'),
]);
const shape = ({ ops }: Graph) => ops.map(({ op }) => op);
const find = <N extends Op['op']>({ ops }: Graph, name: N, at = 0) =>
  ops.filter(({ op }) => op === name)[at] as Extract<Op, { op: N }>;

describe('dress', () => {
  it('leaves a graph as it is where nothing is asked for', () => {
    assert.deepEqual(dress(layer, bare), layer);
  });

  it('quantizes what a Linear reads, once for those that read the same', () => {
    const dressed = dress(layer, { ...bare, linear: module => (/o_proj/.test(module) ? {} : { input: TOKEN }) });
    assert.deepEqual(shape(dressed), ['fake_quantize', 'linear', 'linear', 'linear', 'attention', 'linear']);
    const { in: reads, out } = find(dressed, 'fake_quantize');
    assert.deepEqual(reads, { x: 'hidden' });
    for (const at of [0, 1, 2]) assert.equal(find(dressed, 'linear', at).in.x, out);
    assert.equal(find(dressed, 'linear', 3).in.x, 'self_attn.attention');
  });

  it('asks for the names of modules with their parts', () => {
    const asked: string[] = [];
    dress(layer, {
      ...bare,
      linear: module => (asked.push(module), {}),
      attention: module => (asked.push(module), {}),
    });
    assert.deepEqual(
      asked,
      ['q_proj', 'k_proj', 'v_proj', 'self_attn', 'o_proj'].map(name => `model.layers.0.${name}`),
    );
  });

  it('static schemes have scales of their own, which the graph reads', () => {
    const dressed = dress(layer, { ...bare, linear: module => (/[qk]_proj/.test(module) ? { input: STATIC } : {}) });
    for (const [at, name] of ['q_proj', 'k_proj'].entries()) {
      const { in: reads } = find(dressed, 'fake_quantize', at);
      assert.deepEqual(reads, { x: 'hidden', scale: `${name}.input_scale`, zeroPoint: `${name}.input_zero_point` });
    }
    assert.deepEqual(
      dressed.weights.filter(name => !layer.weights.includes(name)),
      ['q_proj', 'k_proj'].flatMap(name => [`${name}.input_scale`, `${name}.input_zero_point`]),
    );
  });

  it('local schemes have a global scale', () => {
    const local = args({ num_bits: 4, type: 'float', strategy: 'tensor_group', group_size: 16, dynamic: 'local' });
    const dressed = dress(layer, { ...bare, linear: module => (/q_proj/.test(module) ? { input: local } : {}) });
    assert.deepEqual(find(dressed, 'fake_quantize').in, { x: 'hidden', globalScale: 'q_proj.input_global_scale' });
  });

  it('names a scale that is missing', () => {
    const without = { ...bare, linear: () => ({ input: STATIC }), has: (name: string) => !/zero_point/.test(name) };
    assert.throws(() => dress(layer, without), {
      code: 'TENSOR',
      message: /^model\.layers\.0\.q_proj\.input_zero_point is missing/,
    });
  });

  it('what comes out of a Linear keeps its name, quantized or rotated', () => {
    const matrix = outside('model.layers.0.o_proj.r_output.weight', false);
    const rotated: Dress['transforms'] = (module, at) =>
      /o_proj/.test(module) && at === 'output' ? [{ matrix, factor: 0.5 }] : [];
    for (const [output, kinds] of [
      [undefined, ['transform', 'scale']],
      [TOKEN, ['transform', 'fake_quantize']],
    ] as const) {
      const dressed = dress(layer, {
        ...bare,
        transforms: rotated,
        linear: module => (output !== undefined && /o_proj/.test(module) ? { output } : {}),
      });
      assert.deepEqual(shape(dressed).slice(-3), ['linear', ...kinds]);
      assert.equal(dressed.ops.at(-1)!.out, 'output');
      assert.ok(dressed.weights.includes(matrix));
      assert.doesNotThrow(() => stages(dressed, ['output']));
    }
  });

  it('rotates before it quantizes, in order', () => {
    const dressed = dress(layer, {
      ...bare,
      linear: module => (/q_proj/.test(module) ? { input: TOKEN } : {}),
      transforms: (module, at) =>
        /q_proj/.test(module) && at === 'input' ? ['a', 'b'].map(matrix => ({ matrix, factor: 1 })) : [],
    });
    assert.deepEqual(shape(dressed).slice(0, 4), ['transform', 'transform', 'fake_quantize', 'linear']);
    const [a, b] = [find(dressed, 'transform', 0), find(dressed, 'transform', 1)];
    assert.deepEqual(
      [a.in, b.in],
      [
        { x: 'hidden', matrix: 'a' },
        { x: a.out, matrix: 'b' },
      ],
    );
    assert.equal(find(dressed, 'fake_quantize').in.x, b.out);
  });

  it('quantizes keys and values as attention reads them; queries where that is asked for', () => {
    const cache = dress(layer, { ...bare, attention: () => ({ k: HEADS, v: HEADS }) });
    assert.deepEqual(shape(cache).slice(3, 6), ['fake_quantize', 'fake_quantize', 'attention']);
    const { in: reads } = find(cache, 'attention');
    assert.equal(reads.q, 'q_proj');
    assert.deepEqual(
      [0, 1].map(at => find(cache, 'fake_quantize', at).in),
      [
        { x: 'k_proj', scale: 'self_attn.k_scale' },
        { x: 'v_proj', scale: 'self_attn.v_scale' },
      ],
    );
    assert.deepEqual(
      [reads.k, reads.v],
      [0, 1].map(at => find(cache, 'fake_quantize', at).out),
    );
    const all = dress(layer, { ...bare, attention: () => ({ q: HEADS, k: HEADS, v: HEADS }) });
    assert.equal(find(all, 'fake_quantize').in.scale, 'self_attn.q_scale');
  });

  describe('experts', () => {
    const mixture: Op<'experts'> = {
      op: 'experts',
      out: 'output',
      in: { x: 'hidden', routes: 'routes' },
      with: { count: 3, prefix: 'mlp.experts', body: [linear('down_proj', 'x', 'output')] },
    };

    it('share a scheme, with scales of their own', () => {
      const { ops } = dress(graph([mixture]), { ...bare, linear: () => ({ input: STATIC }) });
      const { body } = (ops[0] as Op<'experts'>).with;
      assert.deepEqual(
        body.map(({ op }) => op),
        ['fake_quantize', 'linear'],
      );
      assert.equal((body[0] as Op<'fake_quantize'>).in.scale, 'down_proj.input_scale');
    });

    it('are refused where their schemes differ', () => {
      const other: Dress = { ...bare, linear: module => (/experts\.2/.test(module) ? { input: TOKEN } : {}) };
      assert.throws(() => dress(graph([mixture]), other), {
        code: 'NOT_BUILT',
        message: 'the experts of model.layers.0.mlp.experts have different activation schemes',
        place: { module: 'model.layers.0.mlp.experts.2' },
      });
    });
  });
});

describe('tensorOf', () => {
  it('is the prefix and the name, or what lies outside of the prefix', () => {
    assert.deepEqual(tensorOf('a.', 'b.weight'), { tensor: 'a.b.weight', transposed: false });
    assert.deepEqual(tensorOf('a.', outside('r.weight', false)), { tensor: 'r.weight', transposed: false });
    assert.deepEqual(tensorOf('a.', outside('r.weight', true)), { tensor: 'r.weight', transposed: true });
  });
});
