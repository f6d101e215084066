// What quantizing cost: the twins of `accumulateError` in src/numerics/error.ts and of `countCodes` in src/numerics/quantize.ts.

import { padded } from './widen';

/** Sums of (w - wHat)^2 and w^2 in float64, four of each by column modulo 4, and the largest |w - wHat|. */
export function accumulateError(w: usize, wHat: usize, columns: i32, squaredError: usize, squares: usize, maxError: usize): void {
  const end = w + (<usize>padded(columns) << 2);
  let noise01 = f64x2.splat(0);
  let noise23 = f64x2.splat(0);
  let signal01 = f64x2.splat(0);
  let signal23 = f64x2.splat(0);
  let largest = f64x2.splat(0);
  for (; w < end; w += 16, wHat += 16) {
    const v = v128.load(w);
    const v23 = f64x2.promote_low_f32x4(i32x4.shuffle(v, v, 2, 3, 2, 3));
    const v01 = f64x2.promote_low_f32x4(v);
    const h = v128.load(wHat);
    const e23 = f64x2.sub(v23, f64x2.promote_low_f32x4(i32x4.shuffle(h, h, 2, 3, 2, 3)));
    const e01 = f64x2.sub(v01, f64x2.promote_low_f32x4(h));
    noise01 = f64x2.add(noise01, f64x2.mul(e01, e01));
    noise23 = f64x2.add(noise23, f64x2.mul(e23, e23));
    signal01 = f64x2.add(signal01, f64x2.mul(v01, v01));
    signal23 = f64x2.add(signal23, f64x2.mul(v23, v23));
    largest = f64x2.pmax(largest, f64x2.pmax(f64x2.abs(e01), f64x2.abs(e23)));
  }
  store<f64>(squaredError, sum(noise01) + sum(noise23));
  store<f64>(squares, sum(signal01) + sum(signal23));
  const a = f64x2.extract_lane(largest, 0);
  const b = f64x2.extract_lane(largest, 1);
  store<f64>(maxError, a < b ? b : a);
}

@inline
function sum(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

/** Four tables of 256 counts: neighbours count in different ones, so that none waits for another. */
const TABLE: usize = 1024;
const tables = memory.data(4096, 16);

/** Adds how often each code occurs, by its low byte, to usage[256]. */
export function countCodes(codes: usize, length: i32, usage: usize): void {
  memory.fill(tables, 0, 4 * TABLE);
  const end = codes + length;
  for (; codes + 4 <= end; codes += 4) {
    const four = load<u32>(codes);
    count(tables, four & 255);
    count(tables + TABLE, (four >> 8) & 255);
    count(tables + 2 * TABLE, (four >> 16) & 255);
    count(tables + 3 * TABLE, four >> 24);
  }
  for (; codes < end; codes++) count(tables, load<u8>(codes));
  for (let at: usize = 0; at < TABLE; at += 16) {
    const low = i32x4.add(v128.load(tables + at), v128.load(tables + TABLE + at));
    const high = i32x4.add(v128.load(tables + 2 * TABLE + at), v128.load(tables + 3 * TABLE + at));
    v128.store(usage + at, i32x4.add(v128.load(usage + at), i32x4.add(low, high)));
  }
}

@inline
function count(table: usize, code: u32): void {
  const at = table + (<usize>code << 2);
  store<u32>(at, load<u32>(at) + 1);
}
