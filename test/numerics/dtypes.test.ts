import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { TensorpressError } from '../../src/errors.js';
import {
  DTYPE_BYTES,
  firstNonFinite,
  machineEpsilon,
  narrow,
  roundArray,
  roundTo,
  smallestNormal,
  widen,
  type DType,
  type ModelDType,
} from '../../src/numerics/dtypes.js';
import { assertNumbers } from '../support/numbers.js';

/** x rounded to `digits` significant bits with multiples of `smallest`, by exact float64 arithmetic. */
function roundByDefinition(x: number, digits: number, smallest: number, overflow: number): number {
  const f = Math.fround(x);
  if (!Number.isFinite(f) || f === 0) return f;
  const unit = Math.max(2 ** (Math.floor(Math.log2(Math.abs(f))) - digits + 1), smallest);
  const n = Math.abs(f) / unit;
  const floor = Math.floor(n);
  const up = n - floor > 0.5 || (n - floor === 0.5 && floor % 2 === 1);
  const rounded = (up ? floor + 1 : floor) * unit;
  return Math.sign(f) * (rounded >= overflow ? Infinity : rounded);
}

const DEFINITIONS = { BF16: [8, 2 ** -133, 2 ** 128], F16: [11, 2 ** -24, 65520] } satisfies Record<
  string,
  [number, number, number]
>;

describe('dtypes', () => {
  for (const dtype of ['BF16', 'F16'] as const) {
    it(`rounding to ${dtype} agrees with its definition, as scalar, array and stored bytes`, () => {
      const anyFloat = fc.oneof(
        fc.float({ noNaN: true }),
        fc.float({ min: -1, max: 1, noNaN: true }),
        fc.float({ min: -70000, max: 70000, noNaN: true }),
      );
      fc.assert(
        fc.property(fc.array(anyFloat, { maxLength: 20 }), list => {
          const x = Float32Array.from(list);
          const expected = [...x].map(v => roundByDefinition(v, ...DEFINITIONS[dtype]));
          assertNumbers([...x].map(roundTo(dtype)), expected, 'roundTo', { signedZeros: true });
          assertNumbers(widen(narrow(x, dtype), dtype), expected, 'narrow', { signedZeros: true });
          assertNumbers(roundArray(x.slice(), dtype), expected, 'roundArray', { signedZeros: true });
        }),
        { numRuns: 500 },
      );
    });
  }

  it('all bfloat16 and float16 bits survive widening and narrowing', () => {
    const bits = Uint16Array.from({ length: 1 << 16 }, (_, i) => i);
    for (const dtype of ['BF16', 'F16'] as const) {
      const values = widen(new Uint8Array(bits.buffer), dtype);
      const back = new Uint16Array(narrow(values, dtype).slice().buffer);
      for (let i = 0; i < bits.length; i++) {
        if (Number.isNaN(values[i]!))
          assert.ok(Number.isNaN(widen(narrow(values.subarray(i, i + 1), dtype), dtype)[0]!));
        else assert.equal(back[i], i);
      }
    }
  });

  it('reads every dtype, whatever the alignment', () => {
    const cases: [DType, ArrayBufferView, number[]][] = [
      ['F64', Float64Array.of(1 / 3, -2), [Math.fround(1 / 3), -2]],
      ['F32', Float32Array.of(1.5, -0), [1.5, -0]],
      ['F16', Uint16Array.of(0x3c00, 0xc000, 0x0001), [1, -2, 2 ** -24]],
      ['BF16', Uint16Array.of(0x3f80, 0xc000), [1, -2]],
      ['F8_E4M3', Uint8Array.of(0x38, 0xfe), [1, -448]],
      ['F8_E5M2', Uint8Array.of(0x3c, 0xfb), [1, -57344]],
      ['F8_E8M0', Uint8Array.of(127, 0), [1, 2 ** -127]],
      ['I64', BigInt64Array.of(-5n, 1n << 40n), [-5, 2 ** 40]],
      ['U64', BigUint64Array.of(5n), [5]],
      ['I32', Int32Array.of(-7), [-7]],
      ['U32', Uint32Array.of(2 ** 32 - 256), [2 ** 32 - 256]],
      ['I16', Int16Array.of(-300), [-300]],
      ['U16', Uint16Array.of(65535), [65535]],
      ['I8', Int8Array.of(-128, 127), [-128, 127]],
      ['U8', Uint8Array.of(255), [255]],
      ['BOOL', Uint8Array.of(0, 1), [0, 1]],
    ];
    for (const [dtype, view, expected] of cases) {
      const bytes = new Uint8Array(view.buffer);
      for (const shift of [0, 1, 3]) {
        const moved = Buffer.alloc(bytes.length + shift + 8).subarray(shift, shift + bytes.length);
        moved.set(bytes);
        assertNumbers(widen(moved, dtype), expected, `${dtype} at offset ${shift}`, { signedZeros: true });
      }
      assert.equal(bytes.length, expected.length * DTYPE_BYTES[dtype]);
    }
  });

  it('writes integers to the nearest even and saturates', () => {
    const x = Float32Array.of(0.5, 1.5, -2.5, 1e9, -1e9, NaN);
    assert.deepEqual([...new Int8Array(narrow(x, 'I8').buffer)], [0, 2, -2, 127, -128, 0]);
    assert.deepEqual([...narrow(x, 'U8')], [0, 2, 0, 255, 0, 0]);
    assert.deepEqual([...new Int16Array(narrow(x, 'I16').buffer)], [0, 2, -2, 32767, -32768, 0]);
    for (const dtype of ['F64', 'F32', 'I32', 'U32', 'U16', 'F8_E8M0'] as const) {
      const powers = Float32Array.of(1, 2, 4, 32768);
      assertNumbers(widen(narrow(powers, dtype), dtype), powers, dtype);
    }
  });

  it('refuses dtypes that hold no real numbers', () => {
    assert.throws(
      () => widen(new Uint8Array(8), 'C64'),
      (e: TensorpressError) => e.code === 'TENSOR',
    );
    assert.throws(
      () => narrow(new Float32Array(1), 'C64'),
      (e: TensorpressError) => e.code === 'INTERNAL',
    );
  });

  it('epsilon and smallest normal are what the definition gives', () => {
    for (const dtype of ['F32', 'BF16', 'F16'] as ModelDType[]) {
      const T = roundTo(dtype);
      assert.ok(T(1 + machineEpsilon(dtype)) > 1);
      assert.equal(T(1 + machineEpsilon(dtype) / 2), 1);
      const half = smallestNormal(dtype) / 2;
      assert.notEqual(T(half * (1 + machineEpsilon(dtype))), half * (1 + machineEpsilon(dtype)));
    }
  });

  it('finds the first value that is not finite', () => {
    assert.equal(firstNonFinite(Float32Array.of(0, -0, 3.4e38, 1e-45)), -1);
    assert.equal(firstNonFinite(Float32Array.of(0, NaN, Infinity)), 1);
    assert.equal(firstNonFinite(Float32Array.of(-Infinity)), 0);
  });
});
