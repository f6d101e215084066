import { weightFormat } from '../formats/weights/table.js';
import type { WeightSpec } from '../formats/format.js';
import { firstNonFinite, widen, type ModelDType } from '../numerics/dtypes.js';
import { accumulateError, emptyError, type ErrorSums } from '../numerics/error.js';
import {
  accumulateRange,
  emptyRange,
  makeGrid,
  type Codes,
  type Grid,
  type QParams,
  type Range,
} from '../numerics/grid.js';
import { dequantize, quantize } from '../numerics/quantize.js';
import type { FormatName } from '../schemes/args.js';

/** Whole rows of a weight as they are stored, and the part of the grid that they touch. */
interface Rows {
  readonly bytes: Uint8Array;
  readonly dtype: ModelDType;
  /** First row, counted from the first row of `grid`. */
  readonly fromRow: number;
  readonly grid: Grid;
}

/** Range of every block that the rows touch. */
export interface RangeJob extends Rows {
  readonly kind: 'range';
}
export interface RangeResult {
  readonly range: Range;
  /** Index of the first element that is NaN or infinite, -1 when there is none. */
  readonly nonFinite: number;
}

/** Rows to codes, codes to the bytes of a storage format, and what that cost. */
export interface EncodeJob extends Rows {
  readonly kind: 'encode';
  /** Of the blocks of `grid`. */
  readonly parameters: QParams;
  readonly spec: WeightSpec;
  readonly arithmetic: 'reference' | 'exact';
  /** Codes that are known already; otherwise those of round to nearest. */
  readonly codes: Codes | null;
  readonly formats: readonly FormatName[];
}
export interface EncodeResult {
  /** One for each of `formats`. */
  readonly encoded: readonly Uint8Array[];
  /** Of the rows of the job, from 0 on. */
  readonly error: ErrorSums;
  /** How often each code occurs, [256], by the code's low byte. */
  readonly usage: Uint32Array;
}

export type Job = RangeJob | EncodeJob;
export type JobResult<J extends Job> = J extends RangeJob ? RangeResult : EncodeResult;

/** Carries a job out: a pure function, the same wherever it runs. */
export function runJob<J extends Job>(job: J): JobResult<J>;
export function runJob(job: Job): RangeResult | EncodeResult {
  return job.kind === 'range' ? rangeOf(job) : encode(job);
}

function rangeOf({ bytes, dtype, fromRow, grid }: RangeJob): RangeResult {
  const x = widen(bytes, dtype);
  const range = emptyRange(grid);
  accumulateRange(x, fromRow, grid, range);
  return { range, nonFinite: firstNonFinite(x) };
}

function encode({
  bytes,
  dtype,
  fromRow,
  grid,
  parameters,
  spec,
  arithmetic,
  codes: known,
  formats,
}: EncodeJob): EncodeResult {
  const { args } = spec;
  const x = widen(bytes, dtype);
  const codes = known ?? quantize(x, fromRow, grid, parameters, args, dtype, { arithmetic });
  const rows = x.length / grid.columns;
  const error = emptyError(rows);
  accumulateError(x, dequantize(codes, fromRow, grid, parameters, args), 0, grid.columns, error);
  const usage = new Uint32Array(256);
  for (let i = 0; i < codes.length; i++) usage[codes[i]! & 255]!++;
  return { encoded: formats.map(name => weightFormat(name).compress(codes, spec)), error, usage };
}

/** The blocks that the rows [from, to) touch, as a grid of their own. */
export function cutGrid(grid: Grid, from: number, to: number): { grid: Grid; fromRow: number; firstBlock: number } {
  const { rows, columns, blockRows, blockColumns, gridColumns } = grid;
  const firstBlockRow = Math.floor(from / blockRows);
  const start = firstBlockRow * blockRows;
  const end = Math.min(rows, Math.ceil(to / blockRows) * blockRows);
  return {
    grid: makeGrid(end - start, columns, blockRows, blockColumns),
    fromRow: from - start,
    firstBlock: firstBlockRow * gridColumns,
  };
}

/** The parameters of `grid`'s blocks among those of the whole weight. */
export function cutParameters(
  { scale, zeroPoint, globalScale }: QParams,
  firstBlock: number,
  { gridRows, gridColumns }: Grid,
): QParams {
  const end = firstBlock + gridRows * gridColumns;
  return {
    scale: scale.subarray(firstBlock, end),
    zeroPoint: zeroPoint?.subarray(firstBlock, end) ?? null,
    globalScale,
  };
}
