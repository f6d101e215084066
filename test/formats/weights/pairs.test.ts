import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Parameters, WeightFormat, WeightSpec } from '../../../src/formats/format.js';
import { byteLength } from '../../../src/formats/safetensors/layout.js';
import { WEIGHT_FORMATS } from '../../../src/formats/weights/table.js';
import { narrow, widen } from '../../../src/numerics/dtypes.js';
import type { Codes } from '../../../src/numerics/grid.js';
import { weightGrid } from '../../../src/schemes/grids.js';
import { MXFP4, MXFP8, NVFP4, specOf } from './specs.js';

const size = fc.integer({ min: 1, max: 40 });
const int = fc.record({ num_bits: fc.integer({ min: 1, max: 8 }), symmetric: fc.boolean() });
const fp8 = fc.constant({ type: 'float', num_bits: 8 });
const strategy = fc.oneof(
  fc.record({ strategy: fc.constantFrom('tensor', 'channel') }),
  fc.record({
    strategy: fc.constant('group'),
    group_size: fc.constant(4),
    actorder: fc.constantFrom(null, 'group', 'weight'),
  }),
  fc.record({ strategy: fc.constant('block'), block_structure: fc.tuple(size, size) }),
);
const schemes: Record<string, fc.Arbitrary<object>> = {
  'pack-quantized': int,
  'int-quantized': int,
  'float-quantized': fp8,
  'naive-quantized': fc.oneof(int, fp8),
};

/** Any weight that a format holds, odd sizes included. */
function specs({ name }: WeightFormat): fc.Arbitrary<WeightSpec> {
  const dtype = fc.constantFrom('BF16', 'F16', 'F32');
  const scheme = schemes[name];
  if (scheme === undefined) {
    const fields = name === 'nvfp4-pack-quantized' ? NVFP4 : name === 'mxfp4-pack-quantized' ? MXFP4 : MXFP8;
    const groups = fc.integer({ min: 1, max: 3 });
    return fc.tuple(size, groups, dtype).map(([rows, n, t]) => specOf(rows, n * fields.group_size, fields, t));
  }
  return fc.tuple(size, size, scheme, strategy, dtype).map(([rows, n, numbers, grouping, t]) => {
    const columns = grouping.strategy === 'group' ? 4 * Math.ceil(n / 4) : n;
    return specOf(rows, columns, { ...numbers, ...grouping }, t);
  });
}

/** Random codes and parameters of a weight, exact in the dtypes they are stored in. */
function contentsOf(spec: WeightSpec, random: () => number): { codes: Codes; parameters: Parameters } {
  const { rows, columns, args, dtype } = spec;
  const { gridRows, gridColumns } = weightGrid(args, rows, columns);
  const blocks = gridRows * gridColumns;
  const lowest = -(2 ** (args.num_bits - 1));
  const integer = (): number => lowest + Math.floor(random() * 2 ** args.num_bits);
  const power = (): number => 2 ** Math.floor(random() * 255 - 127);
  const stored = args.scale_dtype === 'torch.uint8' ? 'F8_E8M0' : args.scale_dtype === null ? dtype : 'F8_E4M3';
  const value = stored === 'F8_E8M0' ? power : (): number => (random() - 0.25) * 900;
  const byte = (): number => Math.floor(random() * (args.num_bits === 4 ? 16 : 256));
  const codes = { length: rows * columns };
  return {
    codes: args.type === 'int' ? Int8Array.from(codes, integer) : Uint8Array.from(codes, byte),
    parameters: {
      scale: widen(narrow(Float32Array.from({ length: blocks }, value), stored), stored),
      zeroPoint: args.symmetric ? null : Int8Array.from({ length: blocks }, integer),
      globalScale: args.strategy === 'tensor_group' ? Math.fround(random() * 1e5 + 1) : null,
      groupIndex:
        args.actorder === 'group'
          ? Int32Array.from({ length: columns }, () => Math.floor(random() * gridColumns))
          : null,
    },
  };
}

describe('pairs', () => {
  for (const format of WEIGHT_FORMATS) {
    it(`${format.name}: decompress undoes compress, in layouts of the right size, by rows or whole`, () => {
      fc.assert(
        fc.property(
          specs(format),
          fc.noShrink(fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }))),
          (spec, stream) => {
            assert.equal(format.refuses(spec), undefined);
            const { codes, parameters } = contentsOf(spec, () => stream.next().value as number);
            const [first, ...others] = format.layout(spec);
            const { rows, columns } = spec;

            const bytes = format.compress(codes, spec);
            assert.equal(first!.suffix, format.codes);
            assert.equal(bytes.length, byteLength(first!));
            assert.deepEqual(format.decompress(bytes, spec), codes);

            const cut = rows >> 1;
            const parts = [codes.subarray(0, cut * columns), codes.subarray(cut * columns)];
            assert.ok(Buffer.concat(parts.map(part => format.compress(part, spec))).equals(bytes));
            const rowBytes = bytes.length / rows;
            assert.deepEqual(format.decompress(bytes.subarray(cut * rowBytes), spec), codes.slice(cut * columns));

            const stored = format.compressParameters(parameters, spec);
            assert.deepEqual(
              [...stored].map(([suffix, data]) => [suffix, data.length]),
              others.map(t => [t.suffix, byteLength(t)]),
            );
            assert.deepEqual(
              format.decompressParameters(suffix => unaligned(stored.get(suffix)), spec),
              parameters,
            );
            assert.deepEqual(
              format.measure(first!.shape, suffix => unaligned(stored.get(suffix))),
              { rows, columns },
            );
          },
        ),
        { numRuns: 60 },
      );
    });
  }
});

/** The same bytes at an odd address, as a slice of a larger read may have them. */
function unaligned(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (bytes === undefined) return undefined;
  const shifted = new Uint8Array(bytes.length + 1).subarray(1);
  shifted.set(bytes);
  return shifted;
}
