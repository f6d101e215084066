/** A matrix that lies row by row in an array: row i begins at `at + i * stride`. */
export interface Tile<A extends Float32Array | Float64Array = Float32Array | Float64Array> {
  readonly values: A;
  readonly at: number;
  readonly stride: number;
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
  const sums = C.values.slice(0, n);
  const term = C.values.slice(0, 1); // rounds
  for (let i = 0; i < m; i++) {
    sums.fill(0);
    for (let l = 0, a = A.at + i, b = B.at; l < k; l++, a += A.stride, b += B.stride) {
      const factor = A.values[a]!;
      for (let j = 0; j < n; j++) {
        term[0] = factor * B.values[b + j]!;
        sums[j] = sums[j]! + term[0];
      }
    }
    const c = C.at + i * C.stride;
    for (let j = 0; j < n; j++) C.values[c + j] = C.values[c + j]! - sums[j]!;
  }
}
