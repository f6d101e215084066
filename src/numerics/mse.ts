import { roundTo, type ModelDType } from './dtypes.js';
import type { Grid, Range } from './grid.js';
import { Blank, blankCodes, type Kernels, type Placed } from './kernels.js';
import { addErrors, powerTables, type PowerTables } from './power.js';
import { qparams, type Quantizer } from './qparams.js';
import { createKernels } from './wasm.js';

export interface SearchOptions {
  /** How far a range may shrink: the last p is just above 1 - maxshrink. */
  maxshrink: number;
  /** Steps from p = 1 to p = 0. */
  grid: number;
  /** Exponent of the error. */
  norm: number;
  /** Steps without an improvement anywhere in the tensor after which the search ends. */
  patience: number;
  /** Factor on the observed range where the search starts. */
  expand: number;
  /** Whether the step at maxshrink is tried too. Default: no. */
  inclusive?: boolean;
  /** What an error counts in each column, [C]. Default: 1. */
  importance?: Float32Array | null;
}

/** llm-compressor's `mse` and `memoryless_mse`. */
export const MSE: Readonly<SearchOptions> = { maxshrink: 0.2, grid: 100, norm: 2.4, patience: 5, expand: 1 };

/** llm-compressor's `nvfp4_expanded_mse`. */
export const NVFP4_EXPANDED_MSE: Readonly<SearchOptions> = {
  maxshrink: 1 - 0.8 / 1.8,
  grid: 200,
  norm: 2.4,
  patience: 1000,
  expand: 1.8,
};

/** llm-compressor's `imatrix_mse`, which takes its importance from the inputs of the weight. */
export const IMATRIX_MSE: Readonly<SearchOptions> = {
  maxshrink: 0.95,
  grid: 20,
  norm: 3,
  patience: 5,
  expand: 1,
  inclusive: true,
};

/** A quantizer and its strategy: under tensor_group the search leaves scales unrounded, because G is only known after it. */
export type SearchArgs = Quantizer & { readonly strategy: string };

/**
 * The range of each block that minimises sum w_c |fakequant(x) - x|^norm over p = 1 - i / grid, i = 0, 1, ... floor(maxshrink * grid) - 1
 * (`inclusive`: and one more), where the candidate range is p * expand * (min, max): the search of llm-compressor's mse observers. Errors are
 * computed in float64 from float32 values; a later p wins only if it is strictly better.
 *
 * One pass over the rows tries every p. `patience` looks at the whole tensor, so until the end each block keeps one bit per p that improved
 * it; errors are kept for the block row in work only.
 */
export class MseSearch {
  readonly #kernels: Kernels;
  readonly #grid: Grid;
  readonly #range: Range;
  readonly #args: Quantizer;
  readonly #dtype: ModelDType;
  readonly #patience: number;
  readonly #power: PowerTables;
  readonly #importance: Float32Array | null;
  readonly #shrinks: number[];
  readonly #improved: Improvements;
  readonly #at: Placed<ReturnType<typeof workplace>>;
  #nextRow = 0;

  /**
   * @param range minimum and maximum of each block, complete
   * @param kernels its own until the search is over; default: new ones
   */
  constructor(
    grid: Grid,
    range: Range,
    args: SearchArgs,
    dtype: ModelDType,
    options: Partial<SearchOptions> = {},
    kernels: Kernels = createKernels(),
  ) {
    this.#kernels = kernels;
    this.#grid = grid;
    this.#args = args.strategy === 'tensor_group' ? { ...args, scale_dtype: null } : args;
    this.#dtype = dtype;
    const { maxshrink, grid: perUnit, norm, patience, expand, inclusive, importance } = { ...MSE, ...options };
    this.#range = scaled(range, () => expand, dtype);
    const steps = Math.max(1, Math.floor(maxshrink * perUnit)) + (inclusive ? 1 : 0);
    this.#shrinks = Array.from({ length: steps }, (_, i) => 1 - i / perUnit);
    this.#patience = patience;
    this.#power = powerTables(norm);
    this.#importance = importance ?? null;
    this.#improved = new Improvements(grid.gridRows * grid.gridColumns, steps);
    this.#at = kernels.place(workplace(grid, args, steps));
  }

  /** Enters the next whole rows, from row 0 on in order; chunks may end between any two rows. */
  update(x: Float32Array): void {
    const { columns, rows, blockRows } = this.#grid;
    for (let at = 0; at < x.length; at += columns) {
      const row = this.#nextRow++;
      if (row % blockRows === 0) this.#open(row / blockRows);
      this.#tryRow(x.subarray(at, at + columns));
      if (this.#nextRow % blockRows === 0 || this.#nextRow === rows) this.#close(Math.floor(row / blockRows));
    }
  }

  /** The best range of each block, from which its parameters follow. */
  finish(): Range {
    const last = this.#improved.lastStep(this.#patience);
    return scaled(this.#range, block => this.#shrinks[this.#improved.best(block, last)]!, this.#dtype);
  }

  #open(blockRow: number): void {
    const { gridColumns } = this.#grid;
    const [from, to] = [blockRow * gridColumns, (blockRow + 1) * gridColumns];
    const observed = { min: this.#range.min.subarray(from, to), max: this.#range.max.subarray(from, to) };
    this.#shrinks.forEach((p, i) => {
      const { scale, zeroPoint } = qparams(
        scaled(observed, () => p, this.#dtype),
        this.#args,
        this.#dtype,
      );
      this.#at.q.scale.set(scale, i * gridColumns);
      if (zeroPoint !== null) this.#at.q.zeroPoint!.set(zeroPoint, i * gridColumns);
    });
    this.#at.errors.fill(0);
  }

  #tryRow(row: Float32Array): void {
    const { x, q, parameters, values, codes, errors } = this.#at;
    const { gridColumns, blockColumns } = this.#grid;
    const kernels = this.#kernels;
    x.set(row);
    for (let i = 0; i < this.#shrinks.length; i++) {
      kernels.spreadBlocks(q, i * gridColumns, blockColumns, parameters);
      kernels.scaleRow(x, 0, parameters, this.#dtype, values);
      kernels.encodeRow(values, this.#args, codes, 0);
      kernels.decodeRow(codes, 0, this.#args, parameters, values, 0);
      addErrors(x, values, blockColumns, this.#power, errors, i * gridColumns, this.#importance);
    }
  }

  #close(blockRow: number): void {
    const { gridColumns } = this.#grid;
    for (let b = 0; b < gridColumns; b++) {
      let best = Infinity;
      for (let i = 0; i < this.#shrinks.length; i++) {
        const error = this.#at.errors[i * gridColumns + b]!;
        if (error < best) {
          best = error;
          this.#improved.add(blockRow * gridColumns + b, i);
        }
      }
    }
  }
}

/** T[f32[factor] * v] for both ends of every block: how PyTorch multiplies a tensor by a Python number. */
function scaled({ min, max }: Range, factorOf: (block: number) => number, dtype: ModelDType): Range {
  const T = roundTo(dtype);
  const times = (v: number, block: number): number => T(Math.fround(factorOf(block)) * v);
  return { min: min.map(times), max: max.map(times) };
}

/** What a search works on: a row, and for each p the parameters and errors of the block row in work, [p, gridColumns]. */
function workplace({ columns, gridColumns }: Grid, args: Quantizer, steps: number) {
  const perColumn = new Blank(Float32Array, columns);
  const blocks = steps * gridColumns;
  return {
    x: perColumn,
    values: perColumn,
    codes: blankCodes(args, columns),
    parameters: { scale: perColumn, zero: args.symmetric ? null : perColumn },
    q: {
      scale: new Blank(Float32Array, blocks),
      zeroPoint: args.symmetric ? null : new Blank(Int8Array, blocks),
      globalScale: null,
    },
    errors: new Blank(Float64Array, blocks),
  };
}

/** For each block, which steps of the search improved it: one bit per step. */
class Improvements {
  readonly #steps: number;
  readonly #words: number;
  readonly #bits: Uint32Array;

  constructor(blocks: number, steps: number) {
    this.#steps = steps;
    this.#words = Math.ceil(steps / 32);
    this.#bits = new Uint32Array(blocks * this.#words);
  }

  add(block: number, step: number): void {
    this.#bits[block * this.#words + (step >>> 5)]! |= 1 << (step & 31);
  }

  /** The step at which the search ends: the last, or the first that completes `patience` steps without an improvement in any block. */
  lastStep(patience: number): number {
    const anywhere = new Uint32Array(this.#words);
    for (let i = 0; i < this.#bits.length; i++) anywhere[i % this.#words]! |= this.#bits[i]!;
    for (let step = 0, idle = 0; step < this.#steps; step++) {
      idle = anywhere[step >>> 5]! & (1 << (step & 31)) ? 0 : idle + 1;
      if (idle >= patience) return step;
    }
    return this.#steps - 1;
  }

  /** The last step up to `last` that improved the block. */
  best(block: number, last: number): number {
    for (let step = last; step > 0; step--) {
      if (this.#bits[block * this.#words + (step >>> 5)]! & (1 << (step & 31))) return step;
    }
    return 0;
  }
}
