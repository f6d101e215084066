// Values to codes and back: the twins of `encodeRow` and `decodeRow` in src/numerics/rows.ts. NaN is excluded.

import { padded } from './widen';

const INT: i32 = 0;
const E4M3: i32 = 1;

/**
 * codes[c] = the code nearest to values[c], ties to even, clamped to lowest ... highest (integers) or to the format's largest number.
 * @param kind of the codes: 0 integers, 1 fp8, 2 fp4
 */
export function encodeRow(values: usize, kind: i32, lowest: f32, highest: f32, columns: i32, codes: usize): void {
  const end = codes + padded(columns);
  if (kind == INT) {
    const low = f32x4.splat(lowest);
    const high = f32x4.splat(highest);
    for (; codes < end; codes += 16, values += 64) {
      const a = encodeInt(v128.load(values), low, high);
      const b = encodeInt(v128.load(values, 16), low, high);
      const c = encodeInt(v128.load(values, 32), low, high);
      const d = encodeInt(v128.load(values, 48), low, high);
      v128.store(codes, i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
    }
  } else if (kind == E4M3) {
    for (; codes < end; codes += 16, values += 64) {
      const a = encodeE4M3(v128.load(values));
      const b = encodeE4M3(v128.load(values, 16));
      const c = encodeE4M3(v128.load(values, 32));
      const d = encodeE4M3(v128.load(values, 48));
      v128.store(codes, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
    }
  } else {
    for (; codes < end; codes += 16, values += 64) {
      const a = encodeE2M1(v128.load(values));
      const b = encodeE2M1(v128.load(values, 16));
      const c = encodeE2M1(v128.load(values, 32));
      const d = encodeE2M1(v128.load(values, 48));
      v128.store(codes, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
    }
  }
}

@inline
function encodeInt(v: v128, low: v128, high: v128): v128 {
  return roundToInt(f32x4.pmin(f32x4.pmax(v, low), high));
}

/** The nearest integer, ties to even, for |x| < 2^22: added to 1.5 * 2^23 it stands in the low bits, and rounding is the addition's. */
@inline
function roundToInt(x: v128): v128 {
  return i32x4.sub(f32x4.add(x, f32x4.splat(12582912)), i32x4.splat(0x4b400000));
}

@inline
function encodeE4M3(value: v128): v128 {
  const v = f32x4.add(value, f32x4.splat(0)); // -0 counts as 0
  const sign = v128.and(i32x4.shr_u(v, 24), i32x4.splat(0x80));
  const a = i32x4.min_s(v128.and(v, i32x4.splat(0x7fffffff)), i32x4.splat(0x43e00000)); // 448
  const odd = v128.and(i32x4.shr_u(a, 20), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(a, odd), i32x4.splat(0x7ffff - 0x3c000000)), 20);
  const subnormal = roundToInt(f32x4.mul(a, f32x4.splat(512))); // multiples of 2^-9
  return v128.or(sign, v128.bitselect(subnormal, normal, i32x4.lt_s(a, i32x4.splat(0x3c800000))));
}

@inline
function encodeE2M1(v: v128): v128 {
  const magnitude = v128.and(v, i32x4.splat(0x7fffffff));
  const sign = v128.and(i32x4.shr_u(v, 28), v128.and(i32x4.ne(magnitude, i32x4.splat(0)), i32x4.splat(8)));
  const a = i32x4.min_s(magnitude, i32x4.splat(0x40c00000)); // 6
  const odd = v128.and(i32x4.shr_u(a, 22), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(a, odd), i32x4.splat(0x1fffff - 0x3f000000)), 22);
  const subnormal = roundToInt(f32x4.add(a, a)); // 0, 0.5 and 1
  return v128.or(sign, v128.bitselect(subnormal, normal, i32x4.lt_s(a, i32x4.splat(0x3f800000))));
}

/** out[c] = (codes[c] - zero[c]) * scale[c]; zero 0: without zero points. What fills the last vectors becomes 0. */
export function decodeRow(codes: usize, kind: i32, scale: usize, zero: usize, columns: i32, out: usize): void {
  const end = out + (<usize>padded(columns) << 2);
  let to = out;
  if (kind == INT) {
    if (zero) {
      for (; to < end; to += 16, codes += 4, scale += 16, zero += 16) {
        v128.store(to, f32x4.mul(f32x4.sub(decodeInt(codes), v128.load(zero)), v128.load(scale)));
      }
    } else {
      for (; to < end; to += 16, codes += 4, scale += 16) {
        v128.store(to, f32x4.mul(decodeInt(codes), v128.load(scale)));
      }
    }
  } else if (kind == E4M3) {
    for (; to < end; to += 16, codes += 4, scale += 16) {
      v128.store(to, f32x4.mul(decodeE4M3(codes), v128.load(scale)));
    }
  } else {
    for (; to < end; to += 16, codes += 4, scale += 16) {
      v128.store(to, f32x4.mul(decodeE2M1(codes), v128.load(scale)));
    }
  }
  for (let c = out + (<usize>columns << 2); c < end; c += 4) store<f32>(c, 0);
}

@inline
function decodeInt(codes: usize): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(codes))));
}

@inline
function decodeE4M3(codes: usize): v128 {
  const bits = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(codes)));
  const magnitude = v128.and(bits, i32x4.splat(0x7f));
  const normal = i32x4.add(i32x4.shl(magnitude, 20), i32x4.splat(0x3c000000));
  const subnormal = f32x4.mul(f32x4.convert_i32x4_s(magnitude), f32x4.splat(0.001953125)); // 2^-9
  const sign = i32x4.shl(v128.and(bits, i32x4.splat(0x80)), 24);
  return v128.or(sign, v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(8))));
}

@inline
function decodeE2M1(codes: usize): v128 {
  const doubled = i8x16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
  const halves = i8x16.swizzle(doubled, v128.load32_zero(codes));
  return f32x4.mul(
    f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(halves))),
    f32x4.splat(0.5),
  );
}
