import { invertFactor } from './cholesky.js';
import type { Codes, Grid, QParams } from './grid.js';
import type { ModelDType } from './dtypes.js';
import { TYPESCRIPT_KERNELS, type Kernels } from './kernels.js';
import type { Quantizer } from './qparams.js';

/** sum x xᵀ over all tokens, or that times a constant. */
export interface Hessian {
  readonly n: number;
  /** [n, n] row by row; only the upper triangle, diagonal included, counts. */
  readonly values: Float64Array;
}

export interface FactorOptions {
  /** Fraction of the mean of the diagonal that is added to it. */
  readonly damping: number;
  /** Column that comes j-th in the order of work; null: in their order. */
  readonly order: Int32Array | null;
  /** What the given matrix is multiplied by: 2 / sequences makes H of a sum, as the reference defines it. Default: 1. */
  readonly scale?: number;
}

/** What the column loop needs of a Hessian, in the order of work. */
export interface Factor {
  readonly n: number;
  /** [n, n], upper triangular with UᵀU = H⁻¹, in float32; in memory that threads share. */
  readonly U: Float32Array;
  /** Columns (of the weight, not of the work) that no token ever used: H_jj = 0. */
  readonly dead: Int32Array;
}

/** Column by column: W becomes codes, and the columns to come make up for the error of each. */
export interface ColumnsProblem {
  /** W[R, C] in float32, whole rows in their own order of columns. */
  readonly weight: Float32Array;
  /** First row, counted from the first row of `grid`. */
  readonly fromRow: number;
  readonly factor: Factor;
  readonly order: Int32Array | null;
  /** Of the blocks of `grid`. */
  readonly parameters: QParams;
  readonly grid: Grid;
  /** Group of each column of the weight, where groups are not runs of columns. */
  readonly groupIndex: Int32Array | null;
  readonly args: Quantizer;
  /** T, to which dequantized values are rounded before an error is formed: that of the scales. */
  readonly dtype: ModelDType;
  readonly blockSize: number;
}

export interface ColumnsResult {
  /** [R, C] in the weight's own order. */
  readonly codes: Codes;
  /** [R], sum over the columns of ((w - q) / U_jj)² / 2. */
  readonly loss: Float64Array;
}

/** Columns by importance: those with the largest H_jj first, and of equals the first. */
export function importanceOrder({ n, values }: Hessian): Int32Array {
  const order = Int32Array.from({ length: n }, (_, j) => j);
  return order.sort((a, b) => values[b * n + b]! - values[a * n + a]! || a - b);
}

/**
 * The factor of a Hessian, which stays as it is: columns in the order of work, H_jj = 1 where a column is dead, `damping` times the mean of the
 * diagonal added to it, then U in float64, rounded to float32 at the end (arXiv 2210.17323, section 3.3, step 3).
 * @returns null when H is not positive definite even so
 */
export function gptqFactor(
  { n, values: H }: Hessian,
  { damping, order, scale = 1 }: FactorOptions,
  kernels: Kernels = TYPESCRIPT_KERNELS,
): Factor | null {
  const diagonal = Float64Array.from({ length: n }, (_, j) => scale * H[j * n + j]!);
  const dead = Int32Array.from(diagonal.keys()).filter(j => diagonal[j] === 0);
  for (const j of dead) diagonal[j] = 1;
  const damp = (damping * diagonal.reduce((sum, d) => sum + d, 0)) / n;

  const M = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const row = order === null ? i : order[i]!;
    for (let j = 0; j < i; j++) {
      const column = order === null ? j : order[j]!;
      M[i * n + j] = scale * (row < column ? H[row * n + column]! : H[column * n + row]!);
    }
    M[i * n + i] = diagonal[row]! + damp;
  }
  if (!invertFactor(M, n, kernels)) return null;

  const U = new Float32Array(new SharedArrayBuffer(n * n * 4));
  for (let i = 0; i < n; i++) U.set(M.subarray(i * n + i, (i + 1) * n), i * n + i);
  return { n, U, dead };
}
