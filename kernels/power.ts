// Sums of powers of errors: the twin of `addErrors` in src/numerics/power.ts.

/** errors[b] += sum |wHat - x|^n over the columns of block b in this row; the tables and coefficients are those of n. */
export function addErrors(
  x: usize,
  wHat: usize,
  columns: i32,
  blockColumns: i32,
  ofExponent: usize,
  ofCell: usize,
  inverse: usize,
  c1: f64,
  c2: f64,
  c3: f64,
  errors: usize,
): void {
  for (let from = 0; from < columns; from += blockColumns, errors += 8) {
    const end = x + (<usize>(from + blockColumns < columns ? blockColumns : columns - from) << 2);
    let sum: f64 = 0;
    for (; x < end; x += 4, wHat += 4) {
      const bits = reinterpret<u64>(abs(<f64>load<f32>(wHat) - <f64>load<f32>(x)));
      const exponent = <usize>(bits >> 52) << 3;
      const cell = (<usize>(bits >> 40) & 0xfff) << 3;
      // the mantissa; of 0, whose power is 0 whatever comes here, it is 1
      const m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
      const r = m * load<f64>(inverse + cell) - 1;
      sum += load<f64>(ofExponent + exponent) * load<f64>(ofCell + cell) * (1 + r * (c1 + r * (c2 + r * c3)));
    }
    store<f64>(errors, load<f64>(errors) + sum);
  }
}
