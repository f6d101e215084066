import { Blank, type Kernels } from './kernels.js';
import { tileAt, type Tile } from './product.js';

/** Rows of a block: small enough that what is multiplied stays in the cache. */
const BLOCK = 64;
/** Columns of it that are worked on at once. */
const WIDTH = 256;
/** Strides of tiles, with a gap, so that rows do not all fall into the same lines of the cache. */
const NARROW = BLOCK + 8;
const WIDE = WIDTH + 8;

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
  const wide = new Blank(Float64Array, BLOCK * WIDE);
  const at = kernels.place({
    R: new Blank(Float64Array, n * NARROW),
    V: new Blank(Float64Array, BLOCK * NARROW),
    Z: wide,
    B: wide,
    VZ: wide,
  });
  const [R, V] = [tile(at.R, NARROW), tile(at.V, NARROW)];
  const [Z, B, VZ] = [tile(at.Z, WIDE), tile(at.B, WIDE), tile(at.VZ, WIDE)];
  const whole = tile(M, n);

  for (let i1 = Math.floor((n - 1) / BLOCK) * BLOCK; i1 >= 0; i1 -= BLOCK) {
    const i2 = Math.min(i1 + BLOCK, n);
    const m = i2 - i1;
    copy(whole, i2, i1, R, n - i2, m); // its transpose Rᵀ[i2:, b]
    /** Z[:, from : from + columns] -= R[b, c : c + k] right */
    const subtract = (c: number, right: Tile<Float64Array>, from: number, columns: number) => {
      const shape = { m, n: columns, k: Math.min(BLOCK, n - c) };
      kernels.subtractProduct(tileAt(Z, 0, from), tileAt(R, c - i2, 0), right, shape);
    };
    /** [Rᵀ, U]_b = V Z in the columns [j1, j1 + columns) */
    const finish = (j1: number, columns: number) => {
      VZ.values.fill(0);
      kernels.subtractProduct(VZ, V, Z, { m, n: columns, k: m });
      copy(VZ, 0, 0, tileAt(whole, i1, j1), m, columns);
    };

    copy(whole, i1, i1, Z, m, m);
    for (let c = i2; c < n; c += BLOCK) subtract(c, tileAt(R, c - i2, 0), 0, m);
    if (!factorBlock(Z, m)) return false;
    invertBlock(Z, m, tileAt(whole, i1, i1));
    negatedTranspose(tileAt(whole, i1, i1), m, V);

    for (let j1 = 0; j1 < i1; j1 += WIDTH) {
      const columns = Math.min(WIDTH, i1 - j1);
      copy(whole, i1, j1, Z, m, columns);
      for (let c = i2; c < n; c += BLOCK) {
        copy(whole, c, j1, B, Math.min(BLOCK, n - c), columns);
        subtract(c, B, 0, columns);
      }
      finish(j1, columns);
    }
    for (let j1 = i2; j1 < n; j1 += WIDTH) {
      const columns = Math.min(WIDTH, n - j1);
      Z.values.fill(0);
      for (let c = i2; c < j1 + columns; c += BLOCK) {
        const from = Math.max(c - j1, 0); // U is 0 before its diagonal
        copy(whole, c, j1 + from, B, Math.min(BLOCK, n - c), columns - from);
        subtract(c, B, from, columns - from);
      }
      finish(j1, columns);
    }
  }
  return true;
}

function tile(values: Float64Array, stride: number): Tile<Float64Array> {
  return { values, at: 0, stride };
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
