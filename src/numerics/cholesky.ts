import { Blank, type Kernels } from './kernels.js';
import type { Tile } from './product.js';

/** Rows of a block: small enough that what is multiplied stays in the cache. */
const BLOCK = 64;
/** Columns of it that are worked on at once. */
const WIDTH = 256;
/** Between the rows of a tile, so that they do not all fall into the same lines of the cache. */
const GAP = 8;

/**
 * U, upper triangular with UᵀU = H⁻¹, of a symmetric H, in float64 and in place. From H = R Rᵀ with R upper triangular (Cholesky from the last
 * row to the first) follows U = R⁻¹: the same U as that of the Cholesky factor of the inverse, at half the work.
 *
 * It goes block of rows by block of rows, from the last to the first. In what is done Rᵀ lies before the diagonal blocks and U from them on;
 * block b before it, rows and columns [i1, i2), takes both from one product:
 *
 *     Z = [H_b, 0] - R[b, i2:] [Rᵀ, U][i2:, :]
 *     Z_bb = R_bb R_bbᵀ,  V = R_bb⁻¹
 *     [Rᵀ, U]_b = V [Z before b, I, Z after b]
 *
 * @param M [n, n]; on entry H in the lower triangle, diagonal included, afterwards U in the upper one
 * @returns whether H is positive definite; M is spoilt if it is not
 */
export function invertFactor(M: Float64Array, n: number, kernels: Kernels): boolean {
  const wide = new Blank(Float64Array, BLOCK * (WIDTH + GAP));
  const at = kernels.place({
    R: new Blank(Float64Array, n * (BLOCK + GAP)),
    V: new Blank(Float64Array, BLOCK * (BLOCK + GAP)),
    Z: wide,
    B: wide,
    product: wide,
  });
  const narrowTile = (values: Float64Array): Tile<Float64Array> => ({ values, at: 0, stride: BLOCK + GAP });
  const wideTile = (values: Float64Array): Tile<Float64Array> => ({ values, at: 0, stride: WIDTH + GAP });
  const [R, V, Z, B, product] = [
    narrowTile(at.R),
    narrowTile(at.V),
    wideTile(at.Z),
    wideTile(at.B),
    wideTile(at.product),
  ];
  const whole: Tile<Float64Array> = { values: M, at: 0, stride: n };

  for (let i1 = Math.floor((n - 1) / BLOCK) * BLOCK; i1 >= 0; i1 -= BLOCK) {
    const i2 = Math.min(i1 + BLOCK, n);
    const m = i2 - i1;
    copy(whole, i2, i1, R, n - i2, m); // Rᵀ[i2:, b], so that a product with its transpose is one with R
    const subtract = (from: number, columns: number, right: Tile<Float64Array>, c: number) =>
      kernels.subtractProduct(below(Z, 0, from), below(R, c - i2, 0), right, {
        m,
        n: columns,
        k: Math.min(BLOCK, n - c),
      });

    copy(whole, i1, i1, Z, m, m);
    for (let c = i2; c < n; c += BLOCK) subtract(0, m, below(R, c - i2, 0), c);
    if (!factorBlock(Z, m)) return false;
    invertBlock(Z, m, below(whole, i1, i1));
    negatedTranspose(below(whole, i1, i1), m, V);

    const finish = (j1: number, columns: number) => {
      product.values.fill(0);
      kernels.subtractProduct(product, V, Z, { m, n: columns, k: m });
      for (let i = 0; i < m; i++)
        M.set(product.values.subarray(i * product.stride, i * product.stride + columns), (i1 + i) * n + j1);
    };
    for (let j1 = 0; j1 < i1; j1 += WIDTH) {
      const columns = Math.min(WIDTH, i1 - j1);
      copy(whole, i1, j1, Z, m, columns);
      for (let c = i2; c < n; c += BLOCK) {
        copy(whole, c, j1, B, Math.min(BLOCK, n - c), columns);
        subtract(0, columns, B, c);
      }
      finish(j1, columns);
    }
    for (let j1 = i2; j1 < n; j1 += WIDTH) {
      const columns = Math.min(WIDTH, n - j1);
      Z.values.fill(0);
      for (let c = i2; c < j1 + columns; c += BLOCK) {
        const from = Math.max(c - j1, 0); // U is 0 before its diagonal
        copy(whole, c, j1 + from, B, Math.min(BLOCK, n - c), columns - from);
        subtract(from, columns - from, B, c);
      }
      finish(j1, columns);
    }
  }
  return true;
}

/** The tile that begins at row i and column j of another one. */
function below({ values, at, stride }: Tile<Float64Array>, i: number, j: number): Tile<Float64Array> {
  return { values, at: at + i * stride + j, stride };
}

/** Copies [rows, columns] from row i and column j of one tile to the beginning of another. */
function copy(from: Tile<Float64Array>, i: number, j: number, to: Tile<Float64Array>, rows: number, columns: number) {
  let source = from.at + i * from.stride + j;
  for (let r = 0, at = to.at; r < rows; r++, at += to.stride, source += from.stride)
    to.values.set(from.values.subarray(source, source + columns), at);
}

/**
 * D = R Rᵀ with R upper triangular.
 * @param tile [m, m]; on entry the lower triangle of D, afterwards Rᵀ
 * @returns whether D is positive definite
 */
function factorBlock({ values: D, stride }: Tile<Float64Array>, m: number): boolean {
  for (let k = m - 1; k >= 0; k--) {
    const row = D.subarray(k * stride, k * stride + k + 1);
    for (let l = k + 1; l < m; l++) {
      const from = l * stride;
      const r = D[from + k]!;
      for (let i = 0; i <= k; i++) row[i] = row[i]! - r * D[from + i]!;
    }
    const pivot = row[k]!;
    if (!(pivot > 0 && pivot < Infinity)) return false;
    const r = Math.sqrt(pivot);
    for (let i = 0; i <= k; i++) row[i] = row[i]! / r;
  }
  return true;
}

/** V = R⁻¹ from Rᵀ [m, m], with zeros in its lower triangle. */
function invertBlock(Rt: Tile<Float64Array>, m: number, to: Tile<Float64Array>): void {
  const V = to.values;
  for (let k = m - 1; k >= 0; k--) {
    const row = V.subarray(to.at + k * to.stride, to.at + k * to.stride + m).fill(0);
    for (let l = k + 1; l < m; l++) {
      const r = Rt.values[l * Rt.stride + k]!;
      const from = to.at + l * to.stride;
      for (let j = l; j < m; j++) row[j] = row[j]! - r * V[from + j]!;
    }
    row[k] = 1;
    const r = Rt.values[k * Rt.stride + k]!;
    for (let j = k; j < m; j++) row[j] = row[j]! / r;
  }
}

/** to = -Vᵀ */
function negatedTranspose(V: Tile<Float64Array>, m: number, to: Tile<Float64Array>): void {
  for (let k = 0; k < m; k++) {
    for (let l = 0; l < m; l++) to.values[l * to.stride + k] = -V.values[V.at + k * V.stride + l]!;
  }
}
