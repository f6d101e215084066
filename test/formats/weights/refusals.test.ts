import assert from 'node:assert/strict';
import type { TensorpressError } from '../../../src/errors.js';
import type { WeightSpec } from '../../../src/formats/format.js';
import { WEIGHT_FORMATS, weightFormat } from '../../../src/formats/weights/table.js';
import type { FormatName } from '../../../src/schemes/args.js';
import { refused } from '../refused.js';
import { MXFP4, MXFP8, NVFP4, parametersOf, specOf } from './specs.js';

const int4 = { num_bits: 4, strategy: 'channel' };
const fp8 = { type: 'float', num_bits: 8, strategy: 'channel' };

const groups = ', which are stored in groups of 16 (NVFP4) or 32 (MXFP4)';

describe('refuses', () => {
  const cases: [format: FormatName, columns: number, fields: object, sentence: string | undefined][] = [
    ['pack-quantized', 32, fp8, 'pack-quantized stores int weights, not fp8'],
    ['int-quantized', 32, fp8, 'int-quantized stores int weights, not fp8'],
    ['float-quantized', 32, int4, 'float-quantized stores fp8 weights, not int4'],
    ['float-quantized', 32, NVFP4, `float-quantized stores fp8 weights, not fp4${groups}`],
    ['naive-quantized', 32, MXFP4, `naive-quantized stores int or fp8 weights, not fp4${groups}`],
    ['nvfp4-pack-quantized', 32, int4, 'nvfp4-pack-quantized stores fp4 weights, not int4'],
    ['mxfp8-quantized', 32, MXFP4, `mxfp8-quantized stores fp8 weights, not fp4${groups}`],
    ['mxfp4-pack-quantized', 32, MXFP8, 'mxfp4-pack-quantized stores fp4 weights, not fp8'],
    [
      'naive-quantized',
      32,
      { ...fp8, strategy: 'token', dynamic: true },
      'naive-quantized stores scales by tensor, channel, group or block, not by token',
    ],
    [
      'pack-quantized',
      32,
      { num_bits: 4, strategy: 'tensor_group', group_size: 16 },
      'pack-quantized stores scales by tensor, channel, group or block, not by tensor_group',
    ],
    [
      'mxfp4-pack-quantized',
      32,
      { ...MXFP4, strategy: 'tensor_group' },
      'mxfp4-pack-quantized stores scales by group, not by tensor_group',
    ],
    ['nvfp4-pack-quantized', 32, { ...NVFP4, group_size: 32 }, 'nvfp4-pack-quantized needs group_size 16, not 32'],
    ['mxfp4-pack-quantized', 32, { ...MXFP4, group_size: 8 }, 'mxfp4-pack-quantized needs group_size 32, not 8'],
    [
      'mxfp4-pack-quantized',
      32,
      { ...MXFP4, scale_dtype: null },
      'mxfp4-pack-quantized needs scale_dtype torch.uint8, not null',
    ],
    [
      'nvfp4-pack-quantized',
      32,
      { ...NVFP4, scale_dtype: 'torch.uint8' },
      'nvfp4-pack-quantized needs scale_dtype torch.float8_e4m3fn, not torch.uint8',
    ],
    ['nvfp4-pack-quantized', 17, NVFP4, '17 columns do not divide into groups of 16'],
    [
      'pack-quantized',
      33,
      { num_bits: 4, strategy: 'group', group_size: 32 },
      '33 columns do not divide into groups of 32',
    ],
    ['pack-quantized', 33, int4, undefined],
    ['float-quantized', 33, { ...fp8, strategy: 'block', block_structure: [16, 16] }, undefined],
    ['naive-quantized', 33, { ...int4, symmetric: false }, undefined],
  ];
  for (const [name, columns, fields, sentence] of cases) {
    it(sentence ?? `${name} accepts ${JSON.stringify(fields)}`, () => {
      assert.equal(weightFormat(name).refuses(specOf(4, columns, fields)), sentence);
    });
  }

  it('a format that stores no codes', async () => {
    assert.equal((await refused(() => weightFormat('dense'))).code, 'INTERNAL');
    assert.deepEqual(
      WEIGHT_FORMATS.map(format => weightFormat(format.name)),
      WEIGHT_FORMATS,
    );
  });
});

describe('decompressParameters', () => {
  /** Refusal after one stored tensor is replaced (or removed). */
  async function damaged(
    name: FormatName,
    spec: WeightSpec,
    suffix: string,
    bytes?: Uint8Array,
  ): Promise<TensorpressError> {
    const format = weightFormat(name);
    const parameters = parametersOf([1, 1], {
      zeroPoint: spec.args.symmetric ? null : new Int8Array(2),
      globalScale: spec.args.strategy === 'tensor_group' ? 1 : null,
    });
    const stored: Map<string, Uint8Array | undefined> = format.compressParameters(parameters, spec);
    format.decompressParameters(s => stored.get(s), spec);
    stored.set(suffix, bytes);
    const error = await refused(() => format.decompressParameters(s => stored.get(s), spec));
    assert.equal(error.code, 'TENSOR');
    assert.equal(error.place.tensor, `m.${suffix}`);
    assert.ok(error.hint);
    return error;
  }
  const asymmetric = specOf(2, 4, { num_bits: 3, strategy: 'channel', symmetric: false });
  const grouped = specOf(1, 4, { num_bits: 4, strategy: 'group', group_size: 2, actorder: 'group' });
  const nvfp4 = specOf(1, 32, NVFP4);

  it('refuses missing tensors and wrong sizes', async () => {
    assert.equal((await damaged('pack-quantized', asymmetric, 'weight_scale')).message, 'm.weight_scale is missing');
    assert.match((await damaged('int-quantized', asymmetric, 'weight_zero_point')).message, /is missing/);
    assert.match(
      (await damaged('pack-quantized', asymmetric, 'weight_zero_point', new Uint8Array(8))).message,
      /has 8 bytes instead of 4/,
    );
  });

  it('refuses zero points outside the signed range, however they got there', async () => {
    for (const z of [4, -5, 127]) {
      const { message } = await damaged('int-quantized', asymmetric, 'weight_zero_point', Uint8Array.of(0, z));
      assert.equal(message, `m.weight_zero_point holds ${z}, outside the signed range of 3 bits, -4 to 3`);
    }
    const tensorwise = specOf(2, 4, { num_bits: 4, strategy: 'tensor', symmetric: false });
    const format = weightFormat('pack-quantized');
    const stored = format.compressParameters(parametersOf([1], { zeroPoint: Int8Array.of(0) }), tensorwise);
    stored.set('weight_zero_point', Uint8Array.of(8));
    assert.match((await refused(() => format.decompressParameters(s => stored.get(s), tensorwise))).message, /holds 8/);
  });

  it('refuses scales that are not finite', async () => {
    assert.match(
      (await damaged('int-quantized', asymmetric, 'weight_scale', Uint8Array.of(0, 0, 0x80, 0x7f))).message,
      /not finite/,
    );
    assert.match(
      (await damaged('nvfp4-pack-quantized', nvfp4, 'weight_scale', Uint8Array.of(0x38, 0x7f))).message,
      /not finite/,
    );
    assert.match(
      (await damaged('mxfp4-pack-quantized', specOf(1, 64, MXFP4), 'weight_scale', Uint8Array.of(255, 0))).message,
      /not finite/,
    );
    const zero = new Uint8Array(4);
    assert.match(
      (await damaged('nvfp4-pack-quantized', nvfp4, 'weight_global_scale', zero)).message,
      /is 0, not a positive number/,
    );
    const nan = Uint8Array.of(0, 0, 0xc0, 0x7f);
    assert.match((await damaged('nvfp4-pack-quantized', nvfp4, 'weight_global_scale', nan)).message, /is NaN/);
  });

  it('refuses a group index that names no group', async () => {
    for (const group of [2, -2]) {
      const bytes = new Uint8Array(Int32Array.of(0, 1, group, 0).buffer);
      const { message } = await damaged('int-quantized', grouped, 'weight_g_idx', bytes);
      assert.equal(message, `m.weight_g_idx names group ${group} of 2`);
    }
  });

  it('refuses impossible weight shapes', async () => {
    const format = weightFormat('pack-quantized');
    const measure = (shape: bigint[], stored = [2, 1]) =>
      refused(() => format.measure(stored, () => new Uint8Array(BigInt64Array.from(shape).buffer), 'm'));
    assert.equal((await measure([-1n, 4n])).message, 'm.weight_shape is [-1, 4]');
    assert.match((await measure([2n ** 60n, 4n])).message, /weight_shape is \[/);
    assert.match((await measure([2n, 4n, 5n])).message, /weight_shape is not two int64/);
    assert.match((await measure([0n, 4n])).message, /without elements/);
    assert.match((await measure([2n, 4n], [1, 2, 1])).message, /m\.weight_packed has 3 dimensions, not 2/);
    assert.match(
      (await refused(() => format.measure([2, 1], () => undefined, 'm'))).message,
      /weight_shape is missing/,
    );
    assert.match(
      (await refused(() => weightFormat('int-quantized').measure([2, 0], () => undefined, 'm'))).message,
      /without elements/,
    );
  });
});
