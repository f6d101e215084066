/**
 * The small float formats, one value at a time: float16, float8 e4m3 and e5m2, float4 e2m1, and the exponent byte E8M0 of
 * microscaling. Every conversion goes to the nearest value, ties to even, as IEEE 754 and the OCP formats (OFP8, MX v1.0) define it.
 */

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** Adding and subtracting it rounds a float64 of magnitude below 2^51 to the nearest integer, ties to even. */
export const ROUND = 1.5 * 2 ** 52;

/** Round half to even; |x| < 2^51. */
export function roundHalfEven(x: number): number {
  return x + ROUND - ROUND;
}

export const F16_MAX = 65504;

/** Bits of the float16 nearest to the float32 nearest to x; infinity from 65520. */
export function encodeF16(x: number): number {
  f32[0] = x;
  const u = u32[0]!;
  const sign = (u >>> 16) & 0x8000;
  const a = u & 0x7fffffff;
  if (a > 0x7f800000) return sign | 0x7e00;
  if (a >= 0x477ff000) return sign | 0x7c00;
  if (a < 0x38800000) return sign | roundHalfEven(Math.abs(f32[0]) * 2 ** 24); // subnormal: multiples of 2^-24
  return sign | ((a + 0xfff + ((a >>> 13) & 1) - 0x38000000) >>> 13);
}

/** Value of float16 bits. */
export function decodeF16(bits: number): number {
  const exponent = (bits >>> 10) & 31;
  const mantissa = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return exponent ? sign * (1 + mantissa / 1024) * 2 ** (exponent - 15) : sign * mantissa * 2 ** -24;
}

export const E4M3_MAX = 448;

/** float8 e4m3fn byte nearest to the float32 nearest to x. There is no infinity: larger magnitudes become +-448. The sign of zero is kept. */
export function encodeE4M3(x: number): number {
  f32[0] = x;
  const u = u32[0]!;
  const sign = (u >>> 24) & 0x80;
  const a = u & 0x7fffffff;
  if (a > 0x7f800000) return sign | 0x7f;
  if (a >= 0x43e00000) return sign | 0x7e;
  if (a < 0x3c800000) return sign | roundHalfEven(Math.abs(f32[0]) * 512); // subnormal: multiples of 2^-9
  return sign | ((a + 0x7ffff + ((a >>> 20) & 1) - 0x3c000000) >>> 20);
}

/** Values of all 256 float8 e4m3fn bytes. */
export const E4M3: Readonly<Float32Array> = Float32Array.from({ length: 256 }, (_, byte) => {
  const exponent = (byte >>> 3) & 15;
  const mantissa = byte & 7;
  const sign = byte & 0x80 ? -1 : 1;
  if (exponent === 15 && mantissa === 7) return NaN;
  return exponent ? sign * (1 + mantissa / 8) * 2 ** (exponent - 7) : sign * mantissa * 2 ** -9;
});

/** Value of a float8 e5m2 byte: the upper half of a float16. */
export function decodeE5M2(byte: number): number {
  return decodeF16(byte << 8);
}

export const E2M1_MAX = 6;

/** Values of the 16 float4 e2m1 codes, sign * 8 + index. */
export const E2M1: Readonly<Float32Array> = Float32Array.of(
  0,
  0.5,
  1,
  1.5,
  2,
  3,
  4,
  6,
  -0,
  -0.5,
  -1,
  -1.5,
  -2,
  -3,
  -4,
  -6,
);

/** float4 e2m1 code nearest to x; larger magnitudes become +-6. What rounds to zero from below keeps its sign (code 8), -0 itself does not. */
export function encodeE2M1(x: number): number {
  f32[0] = x;
  const u = u32[0]!;
  const sign = u > 0x80000000 ? 8 : 0;
  const a = u & 0x7fffffff;
  if (a >= 0x40c00000) return sign | 7;
  if (a < 0x3f800000) return sign | roundHalfEven(Math.abs(f32[0]) * 2); // 0, 0.5 and 1
  return sign | ((a + 0x1fffff + ((a >>> 22) & 1) - 0x3f000000) >>> 22);
}

/** Byte of a power of two 2^-127 ... 2^127. */
export function encodeE8M0(power: number): number {
  return (bitsOf(power) >>> 23) & 0xff; // 2^-127 is a subnormal float32: exponent field 0
}

/** 2^(byte - 127); 255 is NaN. */
export function decodeE8M0(byte: number): number {
  return byte === 255 ? NaN : 2 ** (byte - 127);
}

/** Bits of the float32 nearest to x. */
export function bitsOf(x: number): number {
  f32[0] = x;
  return u32[0]!;
}
