import type { Codes, Grid, QParams } from './grid.js';
import type { ModelDType } from './dtypes.js';
import type { Quantizer } from './qparams.js';

/** H = sum of x xᵀ over all tokens, times any constant. */
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
  readonly rows: number;
  readonly columns: number;
  /** W[R, C] in float32, in its own order of columns. */
  readonly weight: Float32Array;
  readonly factor: Factor;
  readonly order: Int32Array | null;
  /** Scales of the blocks of `grid`, in the weight's own order of columns unless `groupIndex` is given. */
  readonly parameters: QParams;
  readonly grid: Grid;
  /** Group of each column of the weight, where groups are not runs of columns. */
  readonly groupIndex: Int32Array | null;
  readonly args: Quantizer;
  /** Of the weight. */
  readonly dtype: ModelDType;
  readonly blockSize: number;
}

export interface ColumnsResult {
  /** [R, C] in the weight's own order. */
  readonly codes: Codes;
  /** sum over all elements of ((w - q) / U_jj)² / 2. */
  readonly loss: number;
}
