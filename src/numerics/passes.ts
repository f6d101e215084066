import { DTYPE_BYTES, type ModelDType } from './dtypes.js';
import { emptyError, type ErrorSums } from './error.js';
import type { Codes, Grid, QParams, Range } from './grid.js';
import { Blank, blankCodes, type Kernels } from './kernels.js';
import type { Quantizer } from './qparams.js';
import { spreadBlocks } from './rows.js';

/** Whole rows of a weight as they are stored, and the part of the grid that they touch. */
export interface Rows {
  readonly bytes: Uint8Array;
  readonly dtype: ModelDType;
  /** First row, counted from the first row of `grid`. */
  readonly fromRow: number;
  readonly grid: Grid;
}

export interface RangeOfRows {
  /** Of every block that the rows touch; it lies in the kernels' memory: gone with the next pass. */
  readonly range: Range;
  /** Index of the first element that is NaN or infinite, -1 when there is none. */
  readonly nonFinite: number;
}

/** One pass over rows, each while it is in the cache: widen, look for what is not finite, compare. */
export function rangeOfRows(kernels: Kernels, { bytes, dtype, fromRow, grid }: Rows): RangeOfRows {
  const { columns } = grid;
  const rows = rowsIn(bytes, dtype, columns);
  const perBlock = new Blank(Float32Array, grid.gridRows * grid.gridColumns);
  const at = kernels.place({
    stored: bytes,
    x: new Blank(Float32Array, columns),
    range: { min: perBlock, max: perBlock },
  });
  at.range.min.fill(Infinity);
  at.range.max.fill(-Infinity);
  for (let row = 0; row < rows; row++) {
    kernels.widenRow(at.stored, row * columns, dtype, at.x);
    const nonFinite = kernels.firstNonFinite(at.x);
    if (nonFinite >= 0) return { range: at.range, nonFinite: row * columns + nonFinite };
    kernels.accumulateRange(at.x, fromRow + row, grid, at.range);
  }
  return { range: at.range, nonFinite: -1 };
}

export interface EncodedRows {
  /** Those that were known, or new ones that lie in the kernels' memory: gone with the next pass. */
  readonly codes: Codes;
  /** Of these rows, from 0 on. */
  readonly error: ErrorSums;
  /** How often each code occurs, [256], by the code's low byte. */
  readonly usage: Uint32Array;
  /**
   * Of codes that `arithmetic: exact` has made: [rows], the sum of (w - ŵ)^2 that the reference's arithmetic would have left. Null when it is
   * not asked for.
   */
  readonly referenceError: Float64Array | null;
}

/**
 * One pass over rows, each while it is in the cache: widen, quantize, dequantize, compare; the codes and errors of `quantize`, `dequantize`
 * and `accumulateError`.
 * @param q parameters of the blocks of the grid
 * @param options.codes codes that are known already; otherwise those of round to nearest
 * @param options.groupIndex group of each column, where groups are not runs of columns
 */
export function encodeRows(
  kernels: Kernels,
  { bytes, dtype, fromRow, grid }: Rows,
  q: QParams,
  args: Quantizer,
  {
    arithmetic,
    codes: known,
    groupIndex = null,
  }: { arithmetic: 'reference' | 'exact'; codes: Codes | null; groupIndex?: Int32Array | null },
): EncodedRows {
  const { columns, blockRows, blockColumns, gridColumns } = grid;
  const rows = rowsIn(bytes, dtype, columns);
  const referenceT = q.globalScale !== null ? 'F32' : dtype;
  const T = arithmetic === 'exact' ? 'F32' : referenceT;
  const isCompared = known === null && T !== referenceT;
  const error = emptyError(rows);
  const reference = isCompared ? emptyError(rows) : null;
  const usage = new Uint32Array(256);
  const perColumn = new Blank(Float32Array, columns);
  const at = kernels.place({
    stored: bytes,
    codes: known ?? blankCodes(args, rows * columns),
    error: { ...error },
    usage,
    q: { ...q },
    x: perColumn,
    values: perColumn,
    parameters: { scale: perColumn, zero: args.symmetric ? null : perColumn },
    reference: reference && { codes: blankCodes(args, columns), error: { ...reference } },
  });
  let spreadRow = -1;
  for (let row = 0; row < rows; row++) {
    const blockRow = Math.floor((fromRow + row) / blockRows);
    if (blockRow !== spreadRow) {
      const first = blockRow * gridColumns;
      if (groupIndex === null) kernels.spreadBlocks(at.q, first, blockColumns, at.parameters);
      else spreadBlocks(at.q, first, groupIndex, at.parameters);
    }
    spreadRow = blockRow;
    kernels.widenRow(at.stored, row * columns, dtype, at.x);
    if (known === null) {
      kernels.scaleRow(at.x, 0, at.parameters, T, at.values);
      kernels.encodeRow(at.values, args, at.codes, row * columns);
    }
    kernels.decodeRow(at.codes, row * columns, args, at.parameters, at.values, 0);
    kernels.accumulateError(at.x, at.values, row, columns, at.error);
    if (at.reference === null) continue;
    kernels.scaleRow(at.x, 0, at.parameters, referenceT, at.values);
    kernels.encodeRow(at.values, args, at.reference.codes, 0);
    kernels.decodeRow(at.reference.codes, 0, args, at.parameters, at.values, 0);
    kernels.accumulateError(at.x, at.values, row, columns, at.reference.error);
  }
  kernels.countCodes(at.codes, at.usage);
  for (const sum of ['squaredError', 'squares', 'maxError'] as const) error[sum].set(at.error[sum]);
  usage.set(at.usage);
  if (at.reference !== null) reference!.squaredError.set(at.reference.error.squaredError);
  // where both divide in float32 they are one
  const referenceError = known === null && arithmetic === 'exact' ? (reference ?? error).squaredError : null;
  return { codes: known ?? at.codes, error, usage, referenceError };
}

function rowsIn(bytes: Uint8Array, dtype: ModelDType, columns: number): number {
  return bytes.length / DTYPE_BYTES[dtype] / columns;
}
