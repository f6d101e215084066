import { weightFormat } from '../formats/weights/table.js';
import type { WeightSpec } from '../formats/format.js';
import { gptqColumns } from '../numerics/columns.js';
import type { ErrorSums } from '../numerics/error.js';
import {
  gptqFactor,
  type ColumnsProblem,
  type ColumnsResult,
  type Factor,
  type FactorOptions,
  type Hessian,
} from '../numerics/gptq.js';
import { makeGrid, type Codes, type Grid, type QParams, type Range } from '../numerics/grid.js';
import type { Kernels } from '../numerics/kernels.js';
import { encodeRows, rangeOfRows, type RangeOfRows, type Rows } from '../numerics/passes.js';
import type { FormatName } from '../schemes/args.js';

/** Range of every block that the rows touch. */
export interface RangeJob extends Rows {
  readonly kind: 'range';
  /** Memory that takes it: shared, so that it needs no way back. */
  readonly into: Range;
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
  /** Group of each column, where groups are not runs of columns. */
  readonly groupIndex?: Int32Array | null;
  readonly formats: readonly FormatName[];
  /** For each of `formats`, memory that takes its bytes: shared, so that they need no way back. New memory where it is absent. */
  readonly into: readonly Uint8Array[];
}
export interface EncodeResult {
  /** One for each of `formats`: the job's `into`, filled. */
  readonly encoded: readonly Uint8Array[];
  /** Of the rows of the job, from 0 on. */
  readonly error: ErrorSums;
  /** How often each code occurs, [256], by the code's low byte. */
  readonly usage: Uint32Array;
  /** [rows], the squared error that the reference's arithmetic would have left; null when nothing asks for it. */
  readonly referenceError: Float64Array | null;
}

/** What GPTQ needs of a Hessian. */
export interface FactorJob {
  readonly kind: 'factor';
  readonly hessian: Hessian;
  readonly options: FactorOptions;
}

/** GPTQ on whole rows; where they are cut makes no difference to their codes. */
export interface ColumnsJob extends ColumnsProblem {
  readonly kind: 'columns';
}

export type Job = RangeJob | EncodeJob | FactorJob | ColumnsJob;
type ResultOf<Kind extends Job['kind']> = {
  range: RangeOfRows;
  encode: EncodeResult;
  factor: Factor | null;
  columns: ColumnsResult;
}[Kind];
export type JobResult<J extends Job> = ResultOf<J['kind']>;

/** Carries a job out: a pure function, the same wherever it runs and whichever kernels it is lent. */
export function runJob<J extends Job>(job: J, kernels: Kernels): JobResult<J>;
export function runJob(job: Job, kernels: Kernels): ResultOf<Job['kind']> {
  switch (job.kind) {
    case 'range':
      return findRange(job, kernels);
    case 'encode':
      return encode(job, kernels);
    case 'factor':
      return gptqFactor(job.hessian, job.options, kernels);
    case 'columns':
      return gptqColumns(job, kernels);
  }
}

function findRange(job: RangeJob, kernels: Kernels): RangeOfRows {
  const { range, nonFinite } = rangeOfRows(kernels, job);
  job.into.min.set(range.min);
  job.into.max.set(range.max);
  return { range: job.into, nonFinite };
}

function encode(job: EncodeJob, kernels: Kernels): EncodeResult {
  const { parameters, spec, formats, into } = job;
  const { codes, ...figures } = encodeRows(kernels, job, parameters, spec.args, job);
  return { encoded: formats.map((name, i) => weightFormat(name).compress(codes, spec, into[i])), ...figures };
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

/** The same parameters in memory that threads share: views of them are passed on without a copy. */
export function shareParameters({ scale, zeroPoint, globalScale }: QParams): QParams {
  const shared = {
    scale: new Float32Array(new SharedArrayBuffer(scale.byteLength)),
    zeroPoint: zeroPoint && new Int8Array(new SharedArrayBuffer(zeroPoint.byteLength)),
    globalScale,
  };
  shared.scale.set(scale);
  if (zeroPoint !== null) shared.zeroPoint!.set(zeroPoint);
  return shared;
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
