/** A matrix that lies row by row in an array: row i begins at `at + i * stride`. */
export interface Tile<A extends Float32Array | Float64Array = Float32Array | Float64Array> {
  readonly values: A;
  readonly at: number;
  readonly stride: number;
}

/** The tile that begins at row i and column j of another one. */
export function tileAt<A extends Float32Array | Float64Array>(
  { values, at, stride }: Tile<A>,
  i: number,
  j: number,
): Tile<A> {
  return { values, at: at + i * stride + j, stride };
}

/** Rows and columns of a product, and the number of its terms. */
export interface ProductShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/**
 * C -= Aᵀ B for tiles A[k, m], B[k, n] and C[m, n] of one type. Every element is its own sum over k in order, each step rounded to the type,
 * and is subtracted at the end; so it does not depend on how a larger product is cut into rows and columns.
 */
export function subtractProduct<A extends Float32Array | Float64Array>(
  C: Tile<A>,
  A: Tile<A>,
  B: Tile<A>,
  { m, n, k }: ProductShape,
): void {
  const dot = C.values instanceof Float32Array ? dot32 : dot64;
  for (let i = 0; i < m; i++) {
    for (let j = 0, at = C.at + i * C.stride; j < n; j++, at++) C.values[at] = C.values[at]! - dot(A, i, B, j, k);
  }
}

/** Column i of A times column j of B. */
function dot64(A: Tile, i: number, B: Tile, j: number, k: number): number {
  let sum = 0;
  for (let l = 0, a = A.at + i, b = B.at + j; l < k; l++, a += A.stride, b += B.stride)
    sum += A.values[a]! * B.values[b]!;
  return sum;
}

/** The same in float32. */
function dot32(A: Tile, i: number, B: Tile, j: number, k: number): number {
  let sum = 0;
  for (let l = 0, a = A.at + i, b = B.at + j; l < k; l++, a += A.stride, b += B.stride)
    sum = Math.fround(sum + Math.fround(A.values[a]! * B.values[b]!));
  return sum;
}
