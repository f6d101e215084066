const BITS = 12;
const CELLS = 1 << BITS;

const f64 = new Float64Array(1);
const u32 = new Uint32Array(f64.buffer);

/** 2^-e for the exponent fields e = 0...2047 of a float64 of magnitude 1 or so; exact for every float32. */
const TO_MANTISSA = Float64Array.from({ length: 2048 }, (_, field) => 2 ** (1023 - field));

/** What x^n is put together from: the powers of 2^e and of the centre c of each cell of mantissas, 1 / c, and the binomial series. */
export interface PowerTables {
  readonly ofExponent: Float64Array;
  readonly ofCell: Float64Array;
  readonly inverse: Float64Array;
  readonly c1: number;
  readonly c2: number;
  readonly c3: number;
}

/** The tables of one n > 0, for `raise`. */
export function powerTables(n: number): PowerTables {
  const inverse = Float64Array.from({ length: CELLS }, (_, cell) => 1 / (1 + (cell + 0.5) / CELLS));
  return {
    ofExponent: Float64Array.from({ length: 2048 }, (_, field) => (field === 0 ? 0 : (2 ** (field - 1023)) ** n)),
    ofCell: inverse.map(v => Math.pow(v, -n)),
    inverse,
    c1: n,
    c2: (n * (n - 1)) / 2,
    c3: (n * (n - 1) * (n - 2)) / 6,
  };
}

/**
 * x^n for a float32 x >= 0, within 1e-15 of Math.pow and much faster: x = 2^e m is looked up by e and by the first 12 bits of m, and what is left
 * of m, less than 2^-12, goes through the binomial series.
 */
export function raise(x: number, { ofExponent, ofCell, inverse, c1, c2, c3 }: PowerTables): number {
  f64[0] = x;
  const high = u32[1]!;
  const exponent = high >>> 20;
  const cell = (high >>> (20 - BITS)) & (CELLS - 1);
  const r = x * TO_MANTISSA[exponent]! * inverse[cell]! - 1;
  return ofExponent[exponent]! * ofCell[cell]! * (1 + r * (c1 + r * (c2 + r * c3)));
}

/** errors[first + b] += sum w |wHat - x|^n over the columns of block b, blockColumns in each, in one row; w [C] are all 1 where they are null. */
export function addErrors(
  x: Float32Array,
  wHat: Float32Array,
  blockColumns: number,
  tables: PowerTables,
  errors: Float64Array,
  first: number,
  weights: Float32Array | null = null,
): void {
  for (let from = 0, b = first; from < wHat.length; from += blockColumns, b++) {
    const end = Math.min(from + blockColumns, wHat.length);
    let sum = 0;
    for (let c = from; c < end; c++) {
      const error = raise(Math.abs(wHat[c]! - x[c]!), tables);
      sum += weights === null ? error : weights[c]! * error;
    }
    errors[b] = errors[b]! + sum;
  }
}
