import type { ModelDType } from './dtypes.js';
import type { Codes, Grid, QParams } from './grid.js';
import type { Quantizer } from './qparams.js';
import { decodeRow, encodeRow, forEachRow, scaleRow } from './rows.js';

export interface QuantizeOptions {
  /**
   * `reference` rounds every step to the model dtype, as compressed-tensors does. `exact` divides in float32 and so takes the nearest code:
   * in bfloat16 8 % of int8 codes differ.
   */
  arithmetic?: 'reference' | 'exact';
  /** Group of each column, [columns], where groups are not runs of columns (actorder `group`). */
  groupIndex?: Int32Array | null;
}

/** Zeroed codes of `length` elements in the array type of the scheme. */
export function makeCodes({ type }: Quantizer, length: number): Codes {
  return type === 'int' ? new Int8Array(length) : new Uint8Array(length);
}

/**
 * Codes of the whole rows fromRow, fromRow + 1, ... that `x` holds: round(clamp(T[T[w / s] + z])), s / G in place of s and float32 in place
 * of T for NVFP4.
 * @param dtype T, in which `x` is exact
 */
export function quantize(
  x: Float32Array,
  fromRow: number,
  grid: Grid,
  q: QParams,
  args: Quantizer,
  dtype: ModelDType,
  { arithmetic = 'reference', groupIndex = null }: QuantizeOptions = {},
): Codes {
  const T = arithmetic === 'exact' || q.globalScale !== null ? 'F32' : dtype;
  const values = new Float32Array(grid.columns);
  const codes = makeCodes(args, x.length);
  forEachRow(x.length, fromRow, grid, q, args, groupIndex, (at, parameters) => {
    scaleRow(x, at, parameters, T, values);
    encodeRow(values, args, codes, at);
  });
  return codes;
}

/**
 * (q - z) * s of whole rows in float32 (s / G in place of s for NVFP4). Products of integer codes and 16-bit scales are exact, so rounding
 * the result to a 16-bit dtype rounds once.
 */
export function dequantize(
  codes: Codes,
  fromRow: number,
  grid: Grid,
  q: QParams,
  args: Quantizer,
  groupIndex: Int32Array | null = null,
): Float32Array {
  const out = new Float32Array(codes.length);
  forEachRow(codes.length, fromRow, grid, q, args, groupIndex, (at, parameters) => {
    decodeRow(codes, at, args, parameters, out, at);
  });
  return out;
}

/** Adds how often each code occurs, by its low byte, to usage[256]. */
export function countCodes(codes: Codes, usage: Uint32Array): void {
  for (let i = 0; i < codes.length; i++) usage[codes[i]! & 255]!++;
}
