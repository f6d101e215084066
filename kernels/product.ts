// Products of tiles: the twin of `subtractProduct` in src/numerics/product.ts, for both types. Sums stay in registers: four rows of two
// vectors. Columns are those of whole pairs of vectors; what fills the last pair of a row is read and written.

export function subtractProduct32(
  c: usize,
  cStride: i32,
  a: usize,
  aStride: i32,
  b: usize,
  bStride: i32,
  m: i32,
  n: i32,
  k: i32,
): void {
  subtractProduct<f32>(c, <usize>cStride << 2, a, <usize>aStride << 2, b, <usize>bStride << 2, m, n, k);
}

export function subtractProduct64(
  c: usize,
  cStride: i32,
  a: usize,
  aStride: i32,
  b: usize,
  bStride: i32,
  m: i32,
  n: i32,
  k: i32,
): void {
  subtractProduct<f64>(c, <usize>cStride << 3, a, <usize>aStride << 3, b, <usize>bStride << 3, m, n, k);
}

/** Strides in bytes. */
@inline
function subtractProduct<T>(
  c: usize,
  cStride: usize,
  a: usize,
  aStride: usize,
  b: usize,
  bStride: usize,
  m: i32,
  n: i32,
  k: i32,
): void {
  const bytes = <usize>n * sizeof<T>();
  for (let j: usize = 0; j < bytes; j += 32) {
    let i = 0;
    let at = c + j;
    for (; i + 4 <= m; i += 4, at += 4 * cStride) {
      fourRows<T>(at, cStride, a + <usize>i * sizeof<T>(), aStride, b + j, bStride, k);
    }
    for (; i < m; i++, at += cStride) oneRow<T>(at, a + <usize>i * sizeof<T>(), aStride, b + j, bStride, k);
  }
}

@inline
function fourRows<T>(c: usize, cStride: usize, a: usize, aStride: usize, b: usize, bStride: usize, k: i32): void {
  let s00 = v128.splat<T>(0);
  let s01 = v128.splat<T>(0);
  let s10 = v128.splat<T>(0);
  let s11 = v128.splat<T>(0);
  let s20 = v128.splat<T>(0);
  let s21 = v128.splat<T>(0);
  let s30 = v128.splat<T>(0);
  let s31 = v128.splat<T>(0);
  for (let l = 0; l < k; l++, a += aStride, b += bStride) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = splatAt<T>(a);
    s00 = v128.add<T>(s00, v128.mul<T>(a0, b0));
    s01 = v128.add<T>(s01, v128.mul<T>(a0, b1));
    const a1 = splatAt<T>(a + sizeof<T>());
    s10 = v128.add<T>(s10, v128.mul<T>(a1, b0));
    s11 = v128.add<T>(s11, v128.mul<T>(a1, b1));
    const a2 = splatAt<T>(a + 2 * sizeof<T>());
    s20 = v128.add<T>(s20, v128.mul<T>(a2, b0));
    s21 = v128.add<T>(s21, v128.mul<T>(a2, b1));
    const a3 = splatAt<T>(a + 3 * sizeof<T>());
    s30 = v128.add<T>(s30, v128.mul<T>(a3, b0));
    s31 = v128.add<T>(s31, v128.mul<T>(a3, b1));
  }
  subtract<T>(c, s00, s01);
  subtract<T>(c + cStride, s10, s11);
  subtract<T>(c + 2 * cStride, s20, s21);
  subtract<T>(c + 3 * cStride, s30, s31);
}

@inline
function oneRow<T>(c: usize, a: usize, aStride: usize, b: usize, bStride: usize, k: i32): void {
  let s0 = v128.splat<T>(0);
  let s1 = v128.splat<T>(0);
  for (let l = 0; l < k; l++, a += aStride, b += bStride) {
    const factor = splatAt<T>(a);
    s0 = v128.add<T>(s0, v128.mul<T>(factor, v128.load(b)));
    s1 = v128.add<T>(s1, v128.mul<T>(factor, v128.load(b, 16)));
  }
  subtract<T>(c, s0, s1);
}

@inline
function splatAt<T>(at: usize): v128 {
  return sizeof<T>() == 4 ? v128.load32_splat(at) : v128.load64_splat(at);
}

@inline
function subtract<T>(c: usize, s0: v128, s1: v128): void {
  v128.store(c, v128.sub<T>(v128.load(c), s0));
  v128.store(c, v128.sub<T>(v128.load(c, 16), s1), 16);
}
