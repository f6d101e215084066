// Values over scales, rounded to T: the twins of `spreadBlocks` and `scaleRow` in src/numerics/rows.ts and of `roundArray` in
// src/numerics/dtypes.ts. NaN is excluded.

import { BF16, F16, padded } from './widen';

/** scale[c] = s or s / G of c's block, zero[c] its zero point (zeroPoint 0: there is none); 1 and 0 in the columns that fill the last vectors. */
export function spreadBlocks(
  s: usize,
  zeroPoint: usize,
  G: f32,
  columns: i32,
  blockColumns: i32,
  scale: usize,
  zero: usize,
): void {
  for (let from = 0; from < columns; from += blockColumns, s += 4) {
    const end = from + blockColumns < columns ? from + blockColumns : columns;
    const v = G != 0 ? load<f32>(s) / G : load<f32>(s);
    spread(v, scale + (<usize>from << 2), scale + (<usize>end << 2));
    if (zeroPoint) spread(<f32>load<i8>(zeroPoint++), zero + (<usize>from << 2), zero + (<usize>end << 2));
  }
  for (let c = columns; c < padded(columns); c++) {
    store<f32>(scale + (<usize>c << 2), 1);
    if (zeroPoint) store<f32>(zero + (<usize>c << 2), 0);
  }
}

@inline
function spread(v: f32, at: usize, end: usize): void {
  const four = f32x4.splat(v);
  for (; at + 16 <= end; at += 16) v128.store(at, four);
  for (; at < end; at += 4) store<f32>(at, v);
}

/** out[c] = T[T[x[c] / scale[c]] + zero[c]]; zero 0: without zero points. */
export function scaleRow(x: usize, scale: usize, zero: usize, T: i32, columns: i32, out: usize): void {
  if (T == BF16) scaleAll<u16>(x, scale, zero, columns, out);
  else if (T == F16) scaleAll<i16>(x, scale, zero, columns, out);
  else scaleAll<f32>(x, scale, zero, columns, out);
}

/** T as a type, so that the choice is made outside of the loop: u16 is bfloat16, i16 is float16. */
@inline
function scaleAll<T>(x: usize, scale: usize, zero: usize, columns: i32, out: usize): void {
  const bytes = <usize>padded(columns) << 2;
  if (zero) {
    for (let at: usize = 0; at < bytes; at += 16) {
      const v = round<T>(f32x4.div(v128.load(x + at), v128.load(scale + at)));
      v128.store(out + at, round<T>(f32x4.add(v, v128.load(zero + at))));
    }
  } else {
    for (let at: usize = 0; at < bytes; at += 16) {
      v128.store(out + at, round<T>(f32x4.div(v128.load(x + at), v128.load(scale + at))));
    }
  }
}

/** T[v] */
@inline
export function round<T>(v: v128): v128 {
  if (isFloat<T>()) return v;
  return isSigned<T>() ? roundF16(v) : roundBF16(v);
}

@inline
function roundBF16(v: v128): v128 {
  const odd = v128.and(i32x4.shr_u(v, 16), i32x4.splat(1));
  return v128.and(i32x4.add(v, i32x4.add(odd, i32x4.splat(0x7fff))), i32x4.splat(0xffff0000));
}

@inline
function roundF16(v: v128): v128 {
  const sign = v128.and(v, i32x4.splat(0x80000000));
  const magnitude = v128.andnot(v, i32x4.splat(0x80000000));
  const odd = v128.and(i32x4.shr_u(v, 13), i32x4.splat(1));
  const normal = v128.and(i32x4.add(magnitude, i32x4.add(odd, i32x4.splat(0xfff))), i32x4.splat(0xffffe000));
  // 0.5 ... 1 are multiples of 2^-24, as float16's subnormals are
  const subnormal = f32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), f32x4.splat(0.5));
  const small = i32x4.lt_s(magnitude, i32x4.splat(0x38800000));
  const large = i32x4.ge_s(magnitude, i32x4.splat(0x477ff000));
  const rounded = v128.bitselect(subnormal, v128.bitselect(i32x4.splat(0x7f800000), normal, large), small);
  return v128.or(sign, rounded);
}
