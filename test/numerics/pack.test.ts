import assert from 'node:assert/strict';
import fc from 'fast-check';
import { E2M1 } from '../../src/numerics/floats.js';
import {
  packBits,
  packBitsRows,
  packedWords,
  packNibbles,
  unpackBits,
  unpackBitsRows,
  unpackNibbles,
} from '../../src/numerics/pack.js';
import { goldenJson } from '../support/golden.js';
import { flat } from '../support/numbers.js';

interface Pack {
  num_bits: number;
  packed_dim: number;
  value: number[][];
  packed: number[][];
}

/** A matrix of random b-bit codes. */
const matrix = fc
  .tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 80 }))
  .chain(([bits, rows, columns]) => {
    const code = fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 });
    const values = fc
      .array(code, { minLength: rows * columns, maxLength: rows * columns })
      .map(list => Int8Array.from(list));
    return fc.record({ bits: fc.constant(bits), rows: fc.constant(rows), columns: fc.constant(columns), values });
  });

describe('packing', () => {
  const golden = goldenJson<{ pack?: Pack[]; pack_fp4?: { value: number[][]; packed: number[][] } }>(
    'compressed-tensors/golden.json',
  );

  if (golden?.pack === undefined)
    it('golden pack', function () {
      this.skip();
    });
  golden?.pack?.forEach(({ num_bits, packed_dim, value, packed }, i) => {
    it(`golden pack ${i}: ${num_bits} bits along dimension ${packed_dim}`, () => {
      const [rows, columns] = [value.length, value[0]!.length];
      const [pack, unpack] = packed_dim === 1 ? [packBits, unpackBits] : [packBitsRows, unpackBitsRows];
      const words = pack(Int8Array.from(flat(value)), rows, columns, num_bits);
      assert.deepEqual([...words], flat(packed));
      assert.deepEqual([...unpack(words, rows, columns, num_bits)], flat(value));
    });
  });

  it('golden pack_fp4', function () {
    if (golden?.pack_fp4 === undefined) return this.skip();
    const codes = flat(golden.pack_fp4.value).map(v => E2M1.findIndex(code => Object.is(code, v)));
    const bytes = packNibbles(Uint8Array.from(codes));
    assert.deepEqual([...bytes], flat(golden.pack_fp4.packed));
    assert.deepEqual([...unpackNibbles(bytes)], codes);
  });

  it('is one little-endian bit stream per row with a zero tail', () => {
    fc.assert(
      fc.property(matrix, ({ bits, rows, columns, values }) => {
        const stride = packedWords(columns, bits);
        const words = packBits(values, rows, columns, bits);
        assert.equal(words.length, rows * stride);
        for (let r = 0; r < rows; r++) {
          let stream = 0n;
          for (let c = 0; c < columns; c++) {
            stream |= BigInt(values[r * columns + c]! + 2 ** (bits - 1)) << BigInt(c * bits);
          }
          const expected = Array.from({ length: stride }, (_, w) =>
            Number(BigInt.asIntN(32, stream >> BigInt(32 * w))),
          );
          assert.deepEqual([...words.subarray(r * stride, (r + 1) * stride)], expected);
        }
        assert.deepEqual(unpackBits(words, rows, columns, bits), values);
      }),
    );
  });

  it('packs along rows what packing the transposed matrix gives', () => {
    fc.assert(
      fc.property(matrix, ({ bits, rows, columns, values }) => {
        const words = packBitsRows(values, rows, columns, bits);
        assert.equal(words.length, packedWords(rows, bits) * columns);
        assert.deepEqual(unpackBitsRows(words, rows, columns, bits), values);
        const column = Int8Array.from({ length: rows }, (_, r) => values[r * columns]!);
        const first = Int32Array.from({ length: packedWords(rows, bits) }, (_, w) => words[w * columns]!);
        assert.deepEqual(first, packBits(column, 1, rows, bits));
      }),
    );
  });
});
