// Minimum and maximum of blocks: the twin of `accumulateRange` in src/numerics/grid.ts. NaN is passed over.

import { padded } from './widen';

/** Widens min[b] and max[b] by the columns of block b in this row, for all of its blocks. */
export function accumulateRange(x: usize, columns: i32, blockColumns: i32, min: usize, max: usize): void {
  for (let from = 0; from < columns; from += blockColumns, min += 4, max += 4) {
    const length = blockColumns < columns - from ? blockColumns : columns - from;
    let at = x + (<usize>from << 2);
    const end = at + (<usize>length << 2);
    let lowest = f32x4.splat(load<f32>(min));
    let highest = f32x4.splat(load<f32>(max));
    let lowest2 = lowest;
    let highest2 = highest;
    for (; at + 32 <= end; at += 32) {
      const v = v128.load(at);
      const v2 = v128.load(at, 16);
      lowest = f32x4.pmin(lowest, v);
      highest = f32x4.pmax(highest, v);
      lowest2 = f32x4.pmin(lowest2, v2);
      highest2 = f32x4.pmax(highest2, v2);
    }
    for (; at < end; at += 4) {
      const v = v128.load32_splat(at);
      lowest = f32x4.pmin(lowest, v);
      highest = f32x4.pmax(highest, v);
    }
    lowest = f32x4.pmin(lowest, lowest2);
    highest = f32x4.pmax(highest, highest2);
    lowest = f32x4.pmin(lowest, i32x4.shuffle(lowest, lowest, 2, 3, 0, 1));
    highest = f32x4.pmax(highest, i32x4.shuffle(highest, highest, 2, 3, 0, 1));
    lowest = f32x4.pmin(lowest, i32x4.shuffle(lowest, lowest, 1, 0, 3, 2));
    highest = f32x4.pmax(highest, i32x4.shuffle(highest, highest, 1, 0, 3, 2));
    // zero has no sign, so that the order of the comparisons does not show
    store<f32>(min, f32x4.extract_lane(lowest, 0) + 0);
    store<f32>(max, f32x4.extract_lane(highest, 0) + 0);
  }
}

/** Whether every element of a row is a finite number. */
export function isFinite(x: usize, columns: i32): bool {
  const end = x + (<usize>padded(columns) << 2);
  let any = i32x4.splat(0);
  for (; x < end; x += 16) {
    const v = v128.load(x);
    any = v128.or(any, f32x4.sub(v, v)); // +0 for finite numbers, NaN for all else
  }
  return !v128.any_true(any);
}
