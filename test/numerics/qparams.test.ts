import assert from 'node:assert/strict';
import { roundArray, roundTo, type ModelDType } from '../../src/numerics/dtypes.js';
import { encodeE8M0 } from '../../src/numerics/floats.js';
import { absmax, accumulateRange, emptyRange, makeGrid, type QParams, type Range } from '../../src/numerics/grid.js';
import { float16Underflow, globalScale, qparams, type Quantizer } from '../../src/numerics/qparams.js';
import { dequantize, quantize } from '../../src/numerics/quantize.js';
import { normalizeArgs, type QuantizationArgs } from '../../src/schemes/args.js';
import { weightGrid } from '../../src/schemes/grids.js';
import { preset } from '../../src/schemes/presets.js';
import { goldenJson } from '../support/golden.js';
import { assertNumbers, flat, normal, type Nested } from '../support/numbers.js';

interface Case {
  scheme: string;
  dtype?: string;
  args: QuantizationArgs;
  weight: readonly (readonly number[])[];
  scale: Nested;
  zero_point: Nested;
  global_scale: Nested;
  fake_quantized: Nested;
}

interface MxScale {
  dtype: string;
  scheme: string;
  absmax: number[];
  scale: number[];
  e8m0: number[];
}

interface Block {
  type: 'int' | 'float';
  num_bits: number;
  symmetric: boolean;
  block_structure: [number, number];
  dtype?: string;
  weight: readonly (readonly number[])[];
  scale: Nested;
  zero_point: Nested;
  codes: Nested;
  fake_quantized: Nested;
}

const DTYPES: Readonly<Record<string, ModelDType>> = { float32: 'F32', bfloat16: 'BF16', float16: 'F16' };
const dtypeOf = (name: string): ModelDType => DTYPES[name.replace('torch.', '')]!;

/** Observes, quantizes and dequantizes a whole weight. */
function roundTrip(weight: readonly (readonly number[])[], args: QuantizationArgs, dtype: ModelDType) {
  const x = Float32Array.from(flat(weight));
  const grid = weightGrid(args, weight.length, weight[0]!.length);
  const range = emptyRange(grid);
  accumulateRange(x, 0, grid, range);
  const q = qparams(range, args, dtype, args.strategy === 'tensor_group' ? globalScale(absmax(range), dtype) : null);
  const codes = quantize(x, 0, grid, q, args, dtype);
  return { q, codes, fakeQuantized: roundArray(dequantize(codes, 0, grid, q, args), dtype) };
}

function assertParameters(q: QParams, expected: { scale: Nested; zero_point: Nested }): void {
  assertNumbers(q.scale, flat(expected.scale), 'scale');
  assertNumbers(q.zeroPoint ?? new Float32Array(q.scale.length), flat(expected.zero_point), 'zero point');
}

const span = (...values: number[]): Range => ({
  min: Float32Array.from(values, v => -v),
  max: Float32Array.from(values),
});

const weightsOf = (name: string): QuantizationArgs => preset(name, [])!.weights!;

describe('quantization parameters', () => {
  const golden = goldenJson<{ qparams?: Case[] }>('compressed-tensors/golden.json');
  const extra = goldenJson<{ qparams_fp16?: Case[]; mx_scale?: MxScale[]; block?: Block[] }>(
    'compressed-tensors/golden-extra.json',
  );

  for (const [group, cases, dtype] of [
    ['qparams', golden?.qparams, undefined],
    ['qparams_fp16', extra?.qparams_fp16, 'float16'],
  ] as const) {
    if (cases === undefined)
      it(`golden ${group}`, function () {
        this.skip();
      });
    cases?.forEach((c, i) => {
      const name = dtype ?? c.dtype!;
      it(`golden ${group} ${i}: ${c.scheme} ${name} ${c.args.symmetric ? 'symmetric' : 'asymmetric'}`, () => {
        const { q, fakeQuantized } = roundTrip(c.weight, c.args, dtypeOf(name));
        assertNumbers(
          q.globalScale === null ? [] : [q.globalScale],
          c.global_scale === null ? [] : flat(c.global_scale),
          'global scale',
        );
        assertParameters(q, c);
        assertNumbers(fakeQuantized, flat(c.fake_quantized), 'fake-quantized');
      });
    });
  }

  if (extra?.mx_scale === undefined)
    it('golden mx_scale', function () {
      this.skip();
    });
  extra?.mx_scale?.forEach((c, i) => {
    it(`golden mx_scale ${i}: ${c.scheme} ${c.dtype}`, () => {
      const { scale } = qparams(span(...c.absmax), weightsOf(c.scheme), dtypeOf(c.dtype));
      assertNumbers(scale, c.scale, 'scale');
      assertNumbers([...scale].map(encodeE8M0), c.e8m0, 'E8M0 byte');
    });
  });

  if (extra?.block === undefined)
    it('golden block', function () {
      this.skip();
    });
  extra?.block?.forEach((c, i) => {
    it(`golden block ${i}: ${c.type} ${c.num_bits} bits in blocks of ${c.block_structure.join(' x ')}`, () => {
      const { type, num_bits, symmetric, block_structure } = c;
      const args = normalizeArgs({ type, num_bits, symmetric, block_structure, strategy: 'block' }).args!;
      const { q, codes, fakeQuantized } = roundTrip(c.weight, args, dtypeOf(c.dtype ?? 'float32'));
      assertParameters(q, c);
      assertNumbers(fakeQuantized, flat(c.fake_quantized), 'fake-quantized');
      const one = { scale: Float32Array.of(1), zeroPoint: null, globalScale: null };
      const grid = makeGrid(c.weight.length, c.weight[0]!.length, c.weight.length, c.weight[0]!.length);
      assertNumbers(dequantize(codes, 0, grid, one, { ...args, symmetric: true }), flat(c.codes), 'codes');
    });
  });

  it('an all-zero block gets the epsilon of its scale dtype and zero point 0', () => {
    const expected: [string, ModelDType, number][] = [
      ['W4A16_ASYM', 'F32', 2 ** -23],
      ['W4A16_ASYM', 'BF16', 2 ** -7],
      ['W4A16_ASYM', 'F16', 2 ** -10],
      ['FP8', 'BF16', 2 ** -7],
      ['MXFP4', 'BF16', 2 ** -127],
      ['MXFP4', 'F16', 1],
    ];
    for (const [scheme, dtype, epsilon] of expected) {
      const q = qparams(span(0), weightsOf(scheme), dtype);
      assert.deepEqual([q.scale[0], q.zeroPoint?.[0] ?? 0], [epsilon, 0], `${scheme} ${dtype}`);
    }
    assert.equal(globalScale(0, 'F16'), 1);
    assert.equal(qparams(span(0), weightsOf('NVFP4'), 'BF16', 1).scale[0], 0.125);
  });

  it('a zero point is always a code', () => {
    const args = normalizeArgs({ num_bits: 4, symmetric: false }).args!;
    for (const [min, max] of [
      [-1, 0],
      [0, 1],
      [5, 6],
      [-6, -5],
      [-1e-30, 1e30],
    ] as const) {
      const { zeroPoint } = qparams({ min: Float32Array.of(min), max: Float32Array.of(max) }, args, 'BF16');
      assert.ok(zeroPoint![0]! >= -8 && zeroPoint![0]! <= 7);
    }
  });
});

describe('small float16 weights', () => {
  /** Relative root mean square error of a round trip. */
  function error(x: Float32Array, args: QuantizationArgs, plain: boolean): number {
    const grid = weightGrid(args, 1, x.length);
    const range = emptyRange(grid);
    accumulateRange(x, 0, grid, range);
    const G = args.strategy !== 'tensor_group' ? null : plain ? 1 : globalScale(absmax(range), 'F16');
    const q = qparams(range, args, 'F16', G, { float16: plain ? 'reference' : 'sound' });
    const wHat = dequantize(quantize(x, 0, grid, q, args, 'F16'), 0, grid, q, args);
    return Math.sqrt(x.reduce((sum, v, i) => sum + (v - wHat[i]!) ** 2, 0) / x.reduce((sum, v) => sum + v * v, 0));
  }

  const weights = (scale: number): Float32Array =>
    roundArray(
      normal(4096, 1).map(v => v * scale),
      'F16',
    );

  it('NVFP4 keeps its accuracy where 2688 / absmax overflows', () => {
    const args = weightsOf('NVFP4A16');
    const x = weights(0.03 / 4);
    assert.ok(globalScale(0.03, 'F16') > 65504);
    assert.ok(error(x, args, true) > 0.12);
    assert.ok(error(x, args, false) < 0.1);
  });

  it('scales that underflow do not wipe out their block', () => {
    for (const scheme of ['FP8_DYNAMIC', 'MXFP8', 'MXFP4']) {
      const x = weights(2 ** -22);
      const args = weightsOf(scheme);
      assert.ok(error(x, args, false) < 0.2, `${scheme}: ${error(x, args, false)}`);
    }
    assert.equal(error(weights(2 ** -22), weightsOf('FP8_DYNAMIC'), true), 1);
  });

  it('the largest value is never clipped by more than half a step', () => {
    const args: Quantizer = weightsOf('FP8');
    for (let k = 1; k < 200; k++) {
      const a = roundTo('F16')(448 * 2 ** -24 * (k / 10));
      const { scale } = qparams(span(a), args, 'F16');
      assert.ok(a / scale[0]! <= 464, `${a}`);
    }
  });

  it('counts what was computed in float32, and nothing else', () => {
    const fp8 = weightsOf('FP8');
    assert.equal(float16Underflow(span(1, 0.027, 0), fp8), 0);
    assert.equal(float16Underflow(span(1, 1e-5, 0), fp8), 1);
    assert.equal(float16Underflow(span(1, 1e-5, 0), weightsOf('MXFP8')), 1);
    assert.equal(float16Underflow(span(0.03, 0.01), weightsOf('NVFP4A16'), globalScale(0.03, 'F16')), 2);
    assert.equal(float16Underflow(span(0.3, 0.01), weightsOf('NVFP4A16'), globalScale(0.3, 'F16')), 0);
  });
});
