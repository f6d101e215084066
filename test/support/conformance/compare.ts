import assert from 'node:assert/strict';

/** How far an engine may be from the reference. */
export interface Tolerance {
  /** Of each row, relative to its largest magnitude. */
  readonly tolerance: number;
  /**
   * What quantized values of equal inputs are: `equal` bit by bit, or `nearly` where the device does not round a division to the nearest
   * float32: then one value in 200 may be the code beside it.
   */
  readonly codes: 'equal' | 'nearly';
}

/** Two neighbours among the codes of fp4, 4 and 6, are the farthest apart: a third of the largest. */
const CODE_STEP = 1 / 3;

/** Differences below it are those of engines that take the smallest float32 numbers for 0. */
const SUBNORMAL = 2 ** -126;

/** Rows of `columns` elements; both zeros are equal, and NaN is NaN. */
export function assertRows(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  columns: number,
  what: string,
  { tolerance, codes }: Tolerance,
): void {
  assert.equal(actual.length, expected.length, `${what}: number of elements`);
  let besides = codes === 'nearly' ? Math.ceil(expected.length / 200) : 0;
  for (let from = 0; from < expected.length; from += columns) {
    let largest = 0;
    for (let i = from; i < from + columns; i++) largest = Math.max(largest, Math.abs(expected[i]!) || 0);
    for (let i = from; i < from + columns; i++) {
      if (Number.isNaN(actual[i]) && Number.isNaN(expected[i])) continue;
      const error = Math.abs(actual[i]! - expected[i]!);
      if (error <= tolerance * largest + (tolerance > 0 ? SUBNORMAL : 0)) continue;
      if (error <= CODE_STEP * largest && besides-- > 0) continue;
      const place = `[${Math.floor(from / columns)}, ${i - from}]`;
      assert.fail(`${what} ${place} is ${actual[i]}, expected ${expected[i]} (largest of the row: ${largest})`);
    }
  }
}
