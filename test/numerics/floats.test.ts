import assert from 'node:assert/strict';
import fc from 'fast-check';
import { narrow, roundTo, widen } from '../../src/numerics/dtypes.js';
import {
  decodeE8M0,
  decodeF16,
  E2M1,
  E4M3,
  encodeE2M1,
  encodeE4M3,
  encodeE8M0,
  encodeF16,
} from '../../src/numerics/floats.js';
import { goldenJson } from '../support/golden.js';
import { assertNumbers, flat, type Nested } from '../support/numbers.js';

interface Rounding {
  x: Nested;
  out: Nested;
  bits: number[];
}

interface Golden {
  fp8_e4m3_decode?: Nested;
  fp8_e4m3_encode?: { x: Nested; byte: number[] };
  fp4_e2m1?: { x: Nested; value: Nested; code: number[] };
  round_bf16?: Rounding;
  round_fp16?: Rounding;
}

/** Nearest of `values` (ascending, none negative, at even positions the even codes) to |x|, by trying all of them. */
function nearest(values: readonly number[], x: number): number {
  let best = 0;
  values.forEach((v, i) => {
    const [d, closest] = [Math.abs(Math.abs(x) - v), Math.abs(Math.abs(x) - values[best]!)];
    if (d < closest || (d === closest && i % 2 === 0)) best = i;
  });
  return best;
}

describe('number formats', () => {
  const golden = goldenJson<Golden>('compressed-tensors/golden-extra.json') ?? {};

  it('golden fp8_e4m3_decode', function () {
    if (golden.fp8_e4m3_decode === undefined) return this.skip();
    assertNumbers(E4M3, flat(golden.fp8_e4m3_decode), 'e4m3 values', { signedZeros: true });
  });

  it('golden fp8_e4m3_encode', function () {
    if (golden.fp8_e4m3_encode === undefined) return this.skip();
    const { x, byte } = golden.fp8_e4m3_encode;
    assertNumbers(flat(x).map(encodeE4M3), byte, 'e4m3 bytes');
    assert.deepEqual([...narrow(Float32Array.from(flat(x)), 'F8_E4M3')], byte);
  });

  it('golden fp4_e2m1', function () {
    if (golden.fp4_e2m1 === undefined) return this.skip();
    const { x, value, code } = golden.fp4_e2m1;
    assertNumbers(flat(x).map(encodeE2M1), code, 'e2m1 codes');
    assertNumbers(
      code.map(c => E2M1[c]!),
      flat(value),
      'e2m1 values',
    );
  });

  for (const [key, dtype] of [
    ['round_bf16', 'BF16'],
    ['round_fp16', 'F16'],
  ] as const) {
    it(`golden ${key}`, function () {
      if (golden[key] === undefined) return this.skip();
      const { x, out, bits } = golden[key];
      const finite = (v: number): number => (Number.isFinite(v) ? v : NaN); // JSON has neither
      assertNumbers(flat(x).map(roundTo(dtype)).map(finite), flat(out), 'rounded values', { signedZeros: true });
      const bytes = narrow(Float32Array.from(flat(x)), dtype);
      assert.deepEqual([...new Uint16Array(bytes.buffer, bytes.byteOffset, bits.length)], bits);
      assertNumbers(widen(bytes, dtype).map(finite), flat(out), 'stored values', { signedZeros: true });
    });
  }

  it('e4m3 is the nearest of all its values, ties to the even code', () => {
    const values = [...E4M3.subarray(0, 127)];
    fc.assert(
      fc.property(fc.float({ min: -500, max: 500, noNaN: true }), x => {
        assert.equal(encodeE4M3(x) & 127, nearest(values, x));
        assert.equal(encodeE4M3(x) >> 7, x < 0 || Object.is(x, -0) ? 1 : 0);
      }),
    );
  });

  it('e2m1 is the nearest of all its values, ties to the even code', () => {
    const values = [...E2M1.subarray(0, 8)];
    fc.assert(
      fc.property(fc.float({ min: -8, max: 8, noNaN: true }), x => {
        assert.equal(encodeE2M1(x), nearest(values, x) + (x < 0 ? 8 : 0));
      }),
    );
  });

  it('every code of every format survives decoding and encoding', () => {
    for (let byte = 0; byte < 256; byte++) {
      if ((byte & 127) !== 127) assert.equal(encodeE4M3(E4M3[byte]!), byte);
      if (byte < 255) assert.equal(encodeE8M0(decodeE8M0(byte)), byte);
      if (byte < 16 && byte !== 8) assert.equal(encodeE2M1(E2M1[byte]!), byte);
    }
    for (let bits = 0; bits < 1 << 16; bits++) {
      const value = decodeF16(bits);
      if (!Number.isNaN(value)) assert.equal(encodeF16(value), bits);
    }
  });

  it('NaN stays NaN, infinity saturates where the format has none', () => {
    assert.deepEqual([encodeE4M3(Infinity), encodeE4M3(-Infinity), encodeE2M1(-Infinity)], [0x7e, 0xfe, 15]);
    assert.ok(Number.isNaN(E4M3[encodeE4M3(NaN)]!));
    assert.ok(Number.isNaN(decodeF16(encodeF16(NaN))));
    assert.ok(Number.isNaN(decodeE8M0(255)));
    assert.equal(decodeF16(encodeF16(65520)), Infinity);
  });
});
