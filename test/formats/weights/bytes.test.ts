import assert from 'node:assert/strict';
import type { Parameters, WeightSpec } from '../../../src/formats/format.js';
import { weightFormat } from '../../../src/formats/weights/table.js';
import type { Codes } from '../../../src/numerics/grid.js';
import type { FormatName } from '../../../src/schemes/args.js';
import { MXFP4, MXFP8, NVFP4, parametersOf, specOf } from './specs.js';

interface Known {
  readonly title: string;
  readonly format: FormatName;
  readonly spec: WeightSpec;
  readonly codes: Codes;
  readonly parameters: Parameters;
  /** Suffix, dtype, shape, bytes in hexadecimal; the codes first. */
  readonly stored: readonly (readonly [string, string, number[], string])[];
}

const cases: Known[] = [
  {
    title:
      'int4 by channel, asymmetric: low nibble first, rows padded with zero bits, zero points packed down the rows',
    format: 'pack-quantized',
    spec: specOf(2, 5, { num_bits: 4, strategy: 'channel', symmetric: false }),
    codes: Int8Array.of(-8, -7, -1, 0, 7, 7, 7, 7, 7, 7),
    parameters: parametersOf([1.5, 0.5], { zeroPoint: Int8Array.of(-8, 3) }),
    stored: [
      ['weight_packed', 'I32', [2, 1], '10870f00 ffff0f00'],
      ['weight_scale', 'BF16', [2, 1], 'c03f 003f'],
      ['weight_zero_point', 'I32', [1, 1], 'b0000000'],
      ['weight_shape', 'I64', [2], '0200000000000000 0500000000000000'],
    ],
  },
  {
    title: 'int3 by tensor, asymmetric: elements straddle words, the zero point is a byte',
    format: 'pack-quantized',
    spec: specOf(1, 11, { num_bits: 3, strategy: 'tensor', symmetric: false }, 'F16'),
    codes: Int8Array.of(-4, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3),
    parameters: parametersOf([1], { zeroPoint: Int8Array.of(-4) }),
    stored: [
      ['weight_packed', 'I32', [1, 2], 'f8ffffff 01000000'],
      ['weight_scale', 'F16', [1], '003c'],
      ['weight_zero_point', 'I8', [1], 'fc'],
      ['weight_shape', 'I64', [2], '0100000000000000 0b00000000000000'],
    ],
  },
  {
    title: 'int8 by group with reordered columns',
    format: 'pack-quantized',
    spec: specOf(1, 4, { num_bits: 8, strategy: 'group', group_size: 2, actorder: 'group' }, 'F32'),
    codes: Int8Array.of(-128, 127, 0, -1),
    parameters: parametersOf([1, -2], { groupIndex: Int32Array.of(1, 0, 0, 1) }),
    stored: [
      ['weight_packed', 'I32', [1, 1], '00ff807f'],
      ['weight_scale', 'F32', [1, 2], '0000803f 000000c0'],
      ['weight_shape', 'I64', [2], '0100000000000000 0400000000000000'],
      ['weight_g_idx', 'I32', [4], '01000000 00000000 00000000 01000000'],
    ],
  },
  {
    title: 'a group order that no method has chosen',
    format: 'int-quantized',
    spec: specOf(1, 2, { num_bits: 8, strategy: 'group', group_size: 2, actorder: 'dynamic' }),
    codes: Int8Array.of(1, -1),
    parameters: parametersOf([1]),
    stored: [
      ['weight', 'I8', [1, 2], '01ff'],
      ['weight_scale', 'BF16', [1, 1], '803f'],
      ['weight_g_idx', 'I32', [2], 'ffffffff ffffffff'],
    ],
  },
  {
    title: 'int3, a byte each',
    format: 'int-quantized',
    spec: specOf(1, 4, { num_bits: 3, strategy: 'group', group_size: 2, symmetric: false }, 'F16'),
    codes: Int8Array.of(-4, 3, 0, 1),
    parameters: parametersOf([1, 2], { zeroPoint: Int8Array.of(-4, 3) }),
    stored: [
      ['weight', 'I8', [1, 4], 'fc030001'],
      ['weight_scale', 'F16', [1, 2], '003c 0040'],
      ['weight_zero_point', 'I8', [1, 2], 'fc03'],
    ],
  },
  {
    title: 'fp8 in blocks that stick out',
    format: 'float-quantized',
    spec: specOf(3, 3, { type: 'float', num_bits: 8, strategy: 'block', block_structure: [2, 2] }, 'F32'),
    codes: Uint8Array.of(0x00, 0x80, 0x7e, 0xfe, 0x38, 0xb8, 0x01, 0x08, 0x40),
    parameters: parametersOf([1, 2, 0.5, 0]),
    stored: [
      ['weight', 'F8_E4M3', [3, 3], '00807efe38b8010840'],
      ['weight_scale', 'F32', [2, 2], '0000803f 00000040 0000003f 00000000'],
    ],
  },
  {
    title: 'fp8 by tensor, weights only',
    format: 'naive-quantized',
    spec: specOf(1, 2, { type: 'float', num_bits: 8, strategy: 'tensor' }),
    codes: Uint8Array.of(0x7e, 0x81),
    parameters: parametersOf([0.0078125]),
    stored: [
      ['weight', 'F8_E4M3', [1, 2], '7e81'],
      ['weight_scale', 'BF16', [1], '003c'],
    ],
  },
  {
    title: 'NVFP4: even element in the low nibble, float8 scale, float32 G',
    format: 'nvfp4-pack-quantized',
    spec: specOf(1, 16, NVFP4),
    codes: Uint8Array.from({ length: 16 }, (_, i) => i),
    parameters: parametersOf([448], { globalScale: 2688 }),
    stored: [
      ['weight_packed', 'U8', [1, 8], '1032547698badcfe'],
      ['weight_scale', 'F8_E4M3', [1, 1], '7e'],
      ['weight_global_scale', 'F32', [1], '00002845'],
    ],
  },
  {
    title: 'fp4 in groups of 16 without a global scale',
    format: 'nvfp4-pack-quantized',
    spec: specOf(1, 16, { ...NVFP4, strategy: 'group' }),
    codes: new Uint8Array(16).fill(15),
    parameters: parametersOf([0.125]),
    stored: [
      ['weight_packed', 'U8', [1, 8], 'ffffffffffffffff'],
      ['weight_scale', 'F8_E4M3', [1, 1], '20'],
    ],
  },
  {
    title: 'MXFP4: exponents with bias 127',
    format: 'mxfp4-pack-quantized',
    spec: specOf(1, 64, MXFP4),
    codes: Uint8Array.from({ length: 64 }, (_, i) => (i % 2 ? 8 : 7)),
    parameters: parametersOf([0.25, 2 ** -127]),
    stored: [
      ['weight_packed', 'U8', [1, 32], '87'.repeat(32)],
      ['weight_scale', 'U8', [1, 2], '7d00'],
    ],
  },
  {
    title: 'MXFP8: a byte per weight, exponents with bias 127',
    format: 'mxfp8-quantized',
    spec: specOf(2, 32, MXFP8),
    codes: new Uint8Array(64).fill(0x7e),
    parameters: parametersOf([2, 2 ** 127]),
    stored: [
      ['weight', 'F8_E4M3', [2, 32], '7e'.repeat(64)],
      ['weight_scale', 'U8', [2, 1], '80fe'],
    ],
  },
];

describe('stored bytes', () => {
  for (const { title, format: name, spec, codes, parameters, stored } of cases) {
    it(`${name}: ${title}`, () => {
      const format = weightFormat(name);
      assert.equal(format.refuses(spec), undefined);
      assert.deepEqual(
        format.layout(spec),
        stored.map(([suffix, dtype, shape]) => ({ suffix, dtype, shape })),
      );
      const bytes = new Map([
        [format.codes, format.compress(codes, spec)],
        ...format.compressParameters(parameters, spec),
      ]);
      const hex = [...bytes].map(([suffix, data]) => [suffix, Buffer.from(data).toString('hex')]);
      assert.deepEqual(
        hex,
        stored.map(([suffix, , , text]) => [suffix, text.replaceAll(' ', '')]),
      );

      assert.deepEqual(format.decompress(bytes.get(format.codes)!, spec), codes);
      assert.deepEqual(
        format.decompressParameters(suffix => bytes.get(suffix), spec),
        parameters,
      );
      const { rows, columns } = spec;
      assert.deepEqual(
        format.measure(stored[0]![2], suffix => bytes.get(suffix)),
        { rows, columns },
      );
    });
  }
});
