import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  editActivations,
  parameterEdits,
  parametersOf,
  planActivations,
  storedScales,
  type StoredScale,
} from '../../src/modifiers/activations.js';
import type { Edit, ModuleScheme } from '../../src/modifiers/modifier.js';
import { roundTo } from '../../src/numerics/dtypes.js';
import type { Range } from '../../src/numerics/grid.js';
import { globalScale } from '../../src/numerics/qparams.js';
import type { Module, Part } from '../../src/runtime/model/model.js';
import { normalizeArgs, type QuantizationArgs } from '../../src/schemes/args.js';

const args = (input: object) => normalizeArgs(input, { observer: 'static_minmax' }).args!;
const fp8 = args({ num_bits: 8, type: 'float' });
const int8 = args({ num_bits: 8, symmetric: false });
const perHead = args({ num_bits: 8, type: 'float', strategy: 'attn_head' });
const perToken = args({ num_bits: 8, strategy: 'token', dynamic: true });
const nvfp4 = args({ num_bits: 4, type: 'float', strategy: 'tensor_group', group_size: 16, dynamic: 'local' });

const linear = (name: string): Module => ({
  name,
  classes: ['Linear', 'Module'],
  weight: { tensor: `${name}.weight`, rows: 4, columns: 16, dtype: 'BF16' },
});
const attention = (name: string): Module => ({ name, classes: ['LlamaAttention', 'Module'] });
const partOf = (...modules: Module[]): Part => ({ id: 'layers.0', modules, tensors: [] });

const scheme = (
  input_activations: QuantizationArgs | null,
  output_activations: QuantizationArgs | null = null,
  cache?: QuantizationArgs,
): ModuleScheme => ({
  ...{ weights: null, input_activations, output_activations, format: 'dense', targets: [], target: '' },
  ...(cache !== undefined && { attention: { cache, heads: { q: 4, kv: 2 }, dtype: 'F16' } }),
});

const written = (part: Part, schemes: ReadonlyMap<string, ModuleScheme>) =>
  planActivations(part, schemes).parameters.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(', ')}]`);

const range = (min: number[], max: number[]): Range => ({ min: Float32Array.from(min), max: Float32Array.from(max) });

function valuesOf(stored: StoredScale, seen: Range): Record<string, number[]> {
  return Object.fromEntries(parameterEdits(stored, seen).map(({ name, values }) => [name, Array.from(values)]));
}

describe('planActivations', () => {
  it('names the tensors of static inputs and outputs, in the dtype of the weight; zero points only where there are some', () => {
    const part = partOf(linear('a'), linear('b'), linear('c'), linear('d'));
    const schemes = new Map([
      ['a', scheme(fp8)],
      ['b', scheme(int8, fp8)],
      ['c', scheme(perToken)],
    ]);
    assert.deepEqual(written(part, schemes), [
      'a.input_scale BF16 [1]',
      'b.input_scale BF16 [1]',
      'b.input_zero_point I8 [1]',
      'b.output_scale BF16 [1]',
    ]);
    assert.deepEqual(planActivations(part, schemes).observe, [
      { site: 'a.input', observer: 'static_minmax', args: fp8 },
      { site: 'b.input', observer: 'static_minmax', args: int8 },
      { site: 'b.output', observer: 'static_minmax', args: fp8 },
    ]);
  });

  it('stores one global scale of NVFP4 inputs, in float32', () => {
    assert.deepEqual(written(partOf(linear('a')), new Map([['a', scheme(nvfp4)]])), ['a.input_global_scale F32 [1]']);
  });

  it('has scales by head for queries, keys and values, each with their own number of heads', () => {
    const part = partOf(attention('self_attn'));
    assert.deepEqual(written(part, new Map([['self_attn', scheme(perHead, null, perHead)]])), [
      'self_attn.q_scale F16 [4, 1, 1]',
      'self_attn.k_scale F16 [2, 1, 1]',
      'self_attn.v_scale F16 [2, 1, 1]',
    ]);
    assert.deepEqual(written(part, new Map([['self_attn', scheme(null, null, int8)]])), [
      'self_attn.k_scale F16 [1]',
      'self_attn.k_zero_point I8 [1]',
      'self_attn.v_scale F16 [1]',
      'self_attn.v_zero_point I8 [1]',
    ]);
    assert.deepEqual(written(part, new Map([['self_attn', scheme(null, null, perToken)]])), []);
  });
});

describe('parameterEdits', () => {
  const [input] = storedScales(partOf(linear('a')), new Map([['a', scheme(fp8)]])) as [StoredScale];
  const asymmetric = { ...input, args: int8 };

  it('takes the largest magnitude over the largest code, rounded once', () => {
    assert.deepEqual(valuesOf(input, range([-3], [1])), { 'a.input_scale': [roundTo('BF16')(3 / 448)] });
  });

  it('computes the zero point before the scale is rounded', () => {
    // 255 steps from -1 to 4: z = -128 + 51
    assert.deepEqual(valuesOf(asymmetric, range([-1], [4])), {
      'a.input_scale': [roundTo('BF16')(5 / 255)],
      'a.input_zero_point': [-77],
    });
  });

  it('reaches both ends of any range, up to the rounding of the scale and half a step', () => {
    const end = fc.float({ min: Math.fround(1e-3), max: 1e3, noNaN: true });
    fc.assert(
      fc.property(end, end, (below, above) => {
        const { 'a.input_scale': [s] = [], 'a.input_zero_point': [z] = [] } = valuesOf(
          asymmetric,
          range([-below], [above]),
        );
        const slack = s! / 2 + (below + above) * 2 ** -8;
        assert.ok((-128 - z!) * s! <= -below + slack && (127 - z!) * s! >= above - slack);
      }),
    );
  });

  it('takes one global scale from everything that was seen', () => {
    const [stored] = storedScales(partOf(linear('a')), new Map([['a', scheme(nvfp4)]])) as [StoredScale];
    assert.deepEqual(valuesOf(stored, range([-1, -5], [2, 0])), { 'a.input_global_scale': [globalScale(5, 'BF16')] });
  });

  it('gives one value for each head', () => {
    const part = partOf(attention('self_attn'));
    const [, k] = storedScales(part, new Map([['self_attn', scheme(perHead, null, perHead)]]));
    assert.deepEqual(valuesOf(k!, range([-448, -1], [1, 896])), { 'self_attn.k_scale': [1, 2] });
    assert.deepEqual(
      parametersOf(k!).map(({ name }) => name),
      ['self_attn.k_scale'],
    );
  });

  const bad: [name: string, seen: Range, message: RegExp][] = [
    ['nothing', range([Infinity], [-Infinity]), /^a\.input was reached by no token of the calibration data, so it has/],
    ['only zeros', range([0], [0]), /^a\.input is 0 for every token, so it has no scale/],
    ['infinity', range([-1], [Infinity]), /^a\.input is not finite/],
    ['NaN', range([NaN], [1]), /^a\.input is not finite/],
  ];
  for (const [name, seen, message] of bad) {
    it(`refuses a range that has seen ${name}, and names the module`, () => {
      for (const stored of [input, asymmetric, { ...input, args: nvfp4 }])
        assert.throws(() => parameterEdits(stored, seen), { code: 'TENSOR', message, place: { module: 'a' } });
    });
  }

  it('refuses a head that is always 0, and a scale that float16 would round to 0', () => {
    const [k] = storedScales(partOf(attention('self_attn')), new Map([['self_attn', scheme(null, null, perHead)]])) as [
      StoredScale,
    ];
    assert.throws(() => parameterEdits(k, range([-1, 0], [1, 0])), /self_attn\.k is 0 for every token in head 1/);
    assert.throws(() => parameterEdits(k, range([-1e-6, -1], [0, 1])), /out of F16's range/);
  });
});

describe('editActivations', () => {
  it('takes what was announced, and emits what was announced, in order', async () => {
    const part = partOf(attention('self_attn'), linear('a'));
    const schemes = new Map([
      ['self_attn', scheme(null, null, int8)],
      ['a', scheme(fp8)],
    ]);
    const { observe, parameters } = planActivations(part, schemes);
    const taken: unknown[] = [];
    const edits: Edit[] = [];
    await editActivations(part, {
      schemes,
      statistics: {
        take: <Result>(observation: unknown) => {
          taken.push(observation);
          return Promise.resolve(range([-1], [1]) as Result);
        },
        seen: { tokens: 1, sequences: 1 },
      },
      emit: edit => Promise.resolve(void edits.push(edit)),
      signal: new AbortController().signal,
    });
    assert.deepEqual(taken, observe);
    assert.deepEqual(
      edits.map(edit => edit.kind === 'parameter' && edit.name),
      parameters.map(({ name }) => name),
    );
  });
});
