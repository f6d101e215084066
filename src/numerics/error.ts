/** Sums of a weight's quantization error, one entry per row, so that neither chunks nor threads change a total. */
export interface ErrorSums {
  /** [rows], sum of (w - ŵ)^2 */
  readonly squaredError: Float64Array;
  /** [rows], sum of w^2 */
  readonly squares: Float64Array;
  /** [rows], largest |w - ŵ| */
  readonly maxError: Float64Array;
}

export interface QuantizationError {
  /** Sum of (w - ŵ)^2 over sum of w^2; 0 when nothing changed. */
  relMSE: number;
  /** Signal to quantization noise ratio in dB, -10 log10(relMSE); null when nothing changed (it would be infinite). */
  sqnr: number | null;
  /** Sum of (w - ŵ)^2. */
  squaredError: number;
  /** Largest |w - ŵ|. */
  maxError: number;
}

/** Partial sums of a row, so that four columns can be added at once. */
const LANES = 4;

/** Sums over `rows` rows of which none has been seen. */
export function emptyError(rows: number): ErrorSums {
  return { squaredError: new Float64Array(rows), squares: new Float64Array(rows), maxError: new Float64Array(rows) };
}

/**
 * Enters the whole rows fromRow, fromRow + 1, ... of w and its dequantized twin ŵ, in float64. Chunks may come in any order, each row once.
 * The sum of a row is (s0 + s1) + (s2 + s3), where sk adds the columns k, k + 4, k + 8 ... in their order: four lanes of SIMD.
 */
export function accumulateError(
  w: Float32Array,
  wHat: Float32Array,
  fromRow: number,
  columns: number,
  into: ErrorSums,
): void {
  const noise = new Float64Array(LANES);
  const signal = new Float64Array(LANES);
  for (let at = 0, row = fromRow; at < w.length; at += columns, row++) {
    let maxError = 0;
    for (let lane = 0; lane < LANES; lane++) {
      let squaredError = 0;
      let squares = 0;
      for (let i = at + lane; i < at + columns; i += LANES) {
        const v = w[i]!;
        const e = Math.abs(v - wHat[i]!);
        squaredError += e * e;
        squares += v * v;
        if (e > maxError) maxError = e;
      }
      noise[lane] = squaredError;
      signal[lane] = squares;
    }
    into.squaredError[row] = sumOfLanes(noise);
    into.squares[row] = sumOfLanes(signal);
    into.maxError[row] = maxError;
  }
}

function sumOfLanes(s: Float64Array): number {
  return s[0]! + s[1]! + (s[2]! + s[3]!);
}

/** Totals over all rows, added in their order. */
export function finishError({ squaredError, squares, maxError }: ErrorSums): QuantizationError {
  const noise = squaredError.reduce((sum, v) => sum + v, 0);
  const signal = squares.reduce((sum, v) => sum + v, 0);
  const relMSE = noise === 0 ? 0 : noise / signal;
  return {
    relMSE,
    sqnr: relMSE === 0 ? null : -10 * Math.log10(relMSE),
    squaredError: noise,
    maxError: maxError.reduce((largest, v) => Math.max(largest, v), 0),
  };
}
