import { roundTo, type ModelDType } from './dtypes.js';
import type { Codes, Grid, Range } from './grid.js';
import { Power } from './power.js';
import { qparams, type Quantizer } from './qparams.js';
import { makeCodes } from './quantize.js';
import { decodeRow, encodeRow, makeColumnParameters, scaleRow, spreadBlocks, type ColumnParameters } from './rows.js';

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

/** A quantizer and its strategy: under tensor_group the search leaves scales unrounded, because G is only known after it. */
export type SearchArgs = Quantizer & { readonly strategy: string };

/**
 * The range of each block that minimises sum |fakequant(x) - x|^norm over p = 1 - i / grid, i = 0, 1, ... floor(maxshrink * grid) - 1, where
 * the candidate range is p * expand * (min, max): the search of llm-compressor's mse observers. Errors are computed in float64 from float32
 * values; a later p wins only if it is strictly better.
 *
 * One pass over the rows tries every p. `patience` looks at the whole tensor, so until the end each block keeps one bit per p that improved
 * it; errors are kept for the block row in work only.
 */
export class MseSearch {
  readonly #grid: Grid;
  readonly #range: Range;
  readonly #args: Quantizer;
  readonly #dtype: ModelDType;
  readonly #patience: number;
  readonly #power: Power;
  readonly #shrinks: number[];
  readonly #improved: Improvements;
  readonly #values: Float32Array;
  readonly #codes: Codes;
  readonly #wHat: Float32Array;
  /** [p, gridColumns], of the block row in work. */
  readonly #errors: Float64Array;
  /** For each p, of the block row in work. */
  readonly #parameters: ColumnParameters[];
  #nextRow = 0;

  /** @param range minimum and maximum of each block, complete */
  constructor(grid: Grid, range: Range, args: SearchArgs, dtype: ModelDType, options: Partial<SearchOptions> = {}) {
    this.#grid = grid;
    this.#args = args.strategy === 'tensor_group' ? { ...args, scale_dtype: null } : args;
    this.#dtype = dtype;
    const { maxshrink, grid: perUnit, norm, patience, expand } = { ...MSE, ...options };
    this.#range = scaled(range, () => expand, dtype);
    const steps = Math.max(1, Math.floor(maxshrink * perUnit));
    this.#shrinks = Array.from({ length: steps }, (_, i) => 1 - i / perUnit);
    this.#power = new Power(norm);
    this.#patience = patience;
    this.#improved = new Improvements(grid.gridRows * grid.gridColumns, steps);
    this.#parameters = this.#shrinks.map(() => makeColumnParameters(grid.columns, args));
    this.#values = new Float32Array(grid.columns);
    this.#codes = makeCodes(args, grid.columns);
    this.#wHat = new Float32Array(grid.columns);
    this.#errors = new Float64Array(steps * grid.gridColumns);
  }

  /** Enters the next whole rows, from row 0 on in order; chunks may end between any two rows. */
  update(x: Float32Array): void {
    const { columns, rows, blockRows } = this.#grid;
    for (let at = 0; at < x.length; at += columns) {
      const row = this.#nextRow++;
      if (row % blockRows === 0) this.#open(row / blockRows);
      this.#tryRow(x, at);
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
      const q = qparams(
        scaled(observed, () => p, this.#dtype),
        this.#args,
        this.#dtype,
      );
      spreadBlocks(q, 0, this.#grid.blockColumns, this.#parameters[i]!);
    });
    this.#errors.fill(0);
  }

  #tryRow(x: Float32Array, at: number): void {
    for (let i = 0; i < this.#parameters.length; i++) {
      const parameters = this.#parameters[i]!;
      scaleRow(x, at, parameters, this.#dtype, this.#values);
      encodeRow(this.#values, this.#args, this.#codes, 0);
      decodeRow(this.#codes, 0, this.#args, parameters, this.#wHat, 0);
      addErrors(x, at, this.#wHat, this.#grid.blockColumns, this.#power, this.#errors, i * this.#grid.gridColumns);
    }
  }

  #close(blockRow: number): void {
    const { gridColumns } = this.#grid;
    for (let b = 0; b < gridColumns; b++) {
      let best = Infinity;
      for (let i = 0; i < this.#shrinks.length; i++) {
        const error = this.#errors[i * gridColumns + b]!;
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

/** errors[first + block] += sum |wHat - x|^norm over the block's columns in one row. */
function addErrors(
  x: Float32Array,
  at: number,
  wHat: Float32Array,
  blockColumns: number,
  power: Power,
  errors: Float64Array,
  first: number,
): void {
  for (let from = 0, b = first; from < wHat.length; from += blockColumns, b++) {
    const end = Math.min(from + blockColumns, wHat.length);
    let sum = 0;
    for (let c = from; c < end; c++) sum += power.of(Math.abs(wHat[c]! - x[at + c]!));
    errors[b] = errors[b]! + sum;
  }
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
