// Stored elements of a row as float32: the twin of `widen` in src/numerics/dtypes.ts for the dtypes of weights. NaN may become a number.

export const F32: i32 = 0;
export const BF16: i32 = 1;
export const F16: i32 = 2;

/** Number of columns of a row in memory: whole vectors of bytes, so whole vectors of all else. */
@inline
export function padded(columns: i32): i32 {
  return (columns + 15) & ~15;
}

/** x[c] = the element c at `from`; zeros fill the last vectors. */
export function widenRow(from: usize, dtype: i32, columns: i32, x: usize): void {
  const end = x + (<usize>padded(columns) << 2);
  let to = x;
  if (dtype == BF16) {
    for (; to < end; to += 16, from += 8) v128.store(to, i32x4.shl(v128.load16x4_u(from), 16));
  } else if (dtype == F16) {
    for (; to < end; to += 16, from += 8) v128.store(to, widenF16(v128.load16x4_u(from)));
  } else {
    for (; to < end; to += 16, from += 16) v128.store(to, v128.load(from));
  }
  for (let c = x + (<usize>columns << 2); c < end; c += 4) store<f32>(c, 0);
}

@inline
function widenF16(bits: v128): v128 {
  const sign = i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16);
  const magnitude = v128.and(bits, i32x4.splat(0x7fff));
  const normal = i32x4.add(i32x4.shl(magnitude, 13), i32x4.splat(0x38000000));
  const subnormal = f32x4.mul(f32x4.convert_i32x4_s(magnitude), f32x4.splat(5.9604644775390625e-8)); // 2^-24
  const infinite = v128.or(normal, i32x4.splat(0x7f800000));
  const small = i32x4.lt_s(magnitude, i32x4.splat(0x400));
  const large = i32x4.ge_s(magnitude, i32x4.splat(0x7c00));
  return v128.or(sign, v128.bitselect(subnormal, v128.bitselect(infinite, normal, large), small));
}
