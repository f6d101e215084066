import assert from 'node:assert/strict';
import type { ModelDType } from '../../src/numerics/dtypes.js';
import { fakeQuantize } from '../../src/schemes/activation.js';
import { normalizeArgs, type QuantizationArgs } from '../../src/schemes/args.js';
import { goldenJson } from '../support/golden.js';
import { assertNumbers, flat, normal, type Nested } from '../support/numbers.js';

interface Case {
  name: string;
  dtype: string;
  args: QuantizationArgs;
  x: readonly Nested[];
  global_scale: Nested;
  scale_shape: number[];
  scale: Nested;
  zero_point: Nested;
  fake_quantized: Nested;
}

const DTYPES: Readonly<Record<string, ModelDType>> = { float32: 'F32', bfloat16: 'BF16', float16: 'F16' };

function shapeOf(nested: Nested): number[] {
  return Array.isArray(nested) ? [nested.length, ...shapeOf((nested as readonly Nested[])[0]!)] : [];
}

describe('fake quantization of activations', () => {
  const cases = goldenJson<{ dynamic_activation?: Case[] }>('compressed-tensors/golden-extra.json')?.dynamic_activation;
  if (cases === undefined)
    it('golden dynamic_activation', function () {
      this.skip();
    });
  cases?.forEach(c => {
    it(`golden dynamic_activation: ${c.name}, ${c.dtype}`, () => {
      const globalScale = c.global_scale === null ? null : flat(c.global_scale)[0]!;
      const x = Float32Array.from(flat(c.x));
      const { values, q, scaleShape } = fakeQuantize(x, shapeOf(c.x), c.args, DTYPES[c.dtype.replace('torch.', '')]!, {
        globalScale,
      });
      assert.deepEqual(scaleShape, c.scale_shape);
      assertNumbers(q.scale, flat(c.scale), 'scale');
      assertNumbers(q.zeroPoint ?? new Int8Array(q.scale.length), flat(c.zero_point), 'zero point');
      assertNumbers(values, flat(c.fake_quantized), 'fake-quantized');
    });
  });

  it('static parameters are taken as they are stored', () => {
    const args = normalizeArgs({ type: 'float' }).args!;
    const stored = { scale: Float32Array.of(0.5), zeroPoint: null, globalScale: null };
    const { values, q } = fakeQuantize(Float32Array.of(1000, 0.5, -3.3), [1, 3], args, 'F32', { stored });
    assert.equal(q, stored);
    assert.deepEqual([...values], [224, 0.5, -3.25]);
  });

  it('heads have one scale each', () => {
    const args = normalizeArgs({ type: 'float', strategy: 'attn_head' }).args!;
    const stored = { scale: Float32Array.of(0.5, 2), zeroPoint: null, globalScale: null };
    const { values, scaleShape } = fakeQuantize(Float32Array.of(3.3, 3.3, -1, 1000), [2, 2], args, 'F32', { stored });
    assert.deepEqual([...values], [3.25, 3.25, -1, 896]);
    assert.deepEqual(scaleShape, [2]);
  });

  it('a token has one scale, whatever its neighbours are', () => {
    const args = normalizeArgs({ strategy: 'token', dynamic: true }).args!;
    const x = normal(3 * 8, 1);
    const all = fakeQuantize(x, [3, 8], args, 'F32');
    const one = fakeQuantize(x.subarray(8, 16), [1, 8], args, 'F32');
    assertNumbers(all.values.subarray(8, 16), one.values, 'second token');
    assert.deepEqual(all.scaleShape, [3, 1]);
  });
});
