import { firstNonFinite, widenRow, type ModelDType } from './dtypes.js';
import { accumulateError, type ErrorSums } from './error.js';
import { formError, subtractTerms } from './feedback.js';
import { accumulateRange, type Codes, type Grid, type QParams, type Range } from './grid.js';
import { subtractProduct, type ProductShape, type Tile } from './product.js';
import type { Quantizer } from './qparams.js';
import { countCodes } from './quantize.js';
import { decodeRow, encodeRow, scaleRow, spreadBlocks, type ColumnParameters } from './rows.js';

export type NumberArray = Uint8Array | Int8Array | Uint32Array | Float32Array | Float64Array;

/** An array that is still to be made; nobody cares what is in it. */
export class Blank<A extends NumberArray = NumberArray> {
  constructor(
    readonly type: { readonly BYTES_PER_ELEMENT: number; new (length: number): A },
    readonly length: number,
  ) {}
}

/** Codes that are still to be made, in the array type of the scheme. */
export function blankCodes({ type }: Quantizer, length: number): Blank<Int8Array> | Blank<Uint8Array> {
  return type === 'int' ? new Blank(Int8Array, length) : new Blank(Uint8Array, length);
}

/** Arrays by name, in whatever structure, and what comes along with them. */
export interface Arrays {
  readonly [name: string]: NumberArray | Blank | number | null | Arrays;
}

/** The same with blanks made. */
export type Placed<T> =
  T extends Blank<infer A> ? A : T extends NumberArray | number | null ? T : { readonly [K in keyof T]: Placed<T[K]> };

/** The same structure with its arrays replaced. */
export function mapArrays<A extends Arrays>(arrays: A, map: (array: NumberArray | Blank) => NumberArray): Placed<A> {
  const entries = Object.entries(arrays).map(([name, value]) => {
    if (value === null || typeof value === 'number') return [name, value] as const;
    return [name, isArray(value) ? map(value) : mapArrays(value, map)] as const;
  });
  return Object.fromEntries(entries) as Placed<A>;
}

/** Whether it is an array, made or still to be made, and not a structure that holds some. */
export function isArray(value: NumberArray | Blank | Arrays): value is NumberArray | Blank {
  return ArrayBuffer.isView(value) || value instanceof Blank;
}

/**
 * The hot loops: functions on one row of a weight, all over arrays that `place` has given. There are two sets of them, in TypeScript and in
 * WebAssembly, with the same results bit for bit as long as no value is NaN.
 */
export interface Kernels {
  /** Arrays with the same values, where the functions reach them; gone when `place` is called again. Numbers and nulls are passed through. */
  place<A extends Arrays>(arrays: A): Placed<A>;
  /** x[c] = stored[at + c] */
  widenRow(stored: Uint8Array, at: number, dtype: ModelDType, x: Float32Array): void;
  /** Index of the first NaN or infinity, -1 if there is none. */
  firstNonFinite(x: Float32Array): number;
  /** Widens the blocks of `row` in `into`. */
  accumulateRange(x: Float32Array, row: number, grid: Grid, into: Range): void;
  /** Parameters of the blocks from `first` on, `blockColumns` columns each, over the columns of a row. */
  spreadBlocks(q: QParams, first: number, blockColumns: number, to: ColumnParameters): void;
  /** out[c] = T[T[x[at + c] / scale[c]] + zero[c]] */
  scaleRow(x: Float32Array, at: number, by: ColumnParameters, T: ModelDType, out: Float32Array): void;
  /** codes[at + c] = the code nearest to values[c] */
  encodeRow(values: Float32Array, args: Quantizer, codes: Codes, at: number): void;
  /** out[outAt + c] = (codes[at + c] - zero[c]) * scale[c] */
  decodeRow(codes: Codes, at: number, args: Quantizer, by: ColumnParameters, out: Float32Array, outAt: number): void;
  /** Enters `row`. */
  accumulateError(w: Float32Array, wHat: Float32Array, row: number, columns: number, into: ErrorSums): void;
  /** Adds how often each code occurs, by its low byte, to usage[256]. */
  countCodes(codes: Codes, usage: Uint32Array): void;
  /** C -= Aᵀ B; C's columns, but for the last of its array's, are whole eights of float32 or fours of float64. */
  subtractProduct<A extends Float32Array | Float64Array>(
    C: Tile<A>,
    A: Tile<A>,
    B: Tile<A>,
    { m, n, k }: ProductShape,
  ): void;
  /** w[r] -= e[l, r] * u[l, 0] for l = 0, 1, ... k - 1; w a multiple of 16 long. */
  subtractTerms(w: Float32Array, e: Tile<Float32Array>, u: Tile<Float32Array>, k: number): void;
  /** e[r] = (w[r] - T[q[r]]) / d, loss[r] += e[r]² / 2; all a multiple of 16 long. */
  formError(w: Float32Array, q: Float32Array, T: ModelDType, d: number, e: Float32Array, loss: Float64Array): void;
}

/** The specification: everything else equals it. */
export const TYPESCRIPT_KERNELS: Kernels = {
  place: arrays => mapArrays(arrays, array => (array instanceof Blank ? new array.type(array.length) : array)),
  widenRow,
  firstNonFinite,
  accumulateRange,
  spreadBlocks,
  scaleRow,
  encodeRow,
  decodeRow,
  accumulateError,
  countCodes,
  subtractProduct,
  subtractTerms,
  formError,
};
