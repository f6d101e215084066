/** Bits of a float32 that do not count: a cell holds the numbers that agree in sign, exponent and the first 7 bits of the mantissa. */
const REST = 16;
const CELLS = 2 ** (32 - REST);
const SIGN = CELLS / 2;

/** Numbers of a cell differ by less than a relative 2^-7: its middle lies within half of that from each. */
export const HISTOGRAM_ERROR = 2 ** -8;

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** How often the numbers of each cell occur, of any magnitude and in any order of arrival, in half a megabyte. */
export class Histogram {
  /** As float64: there may be more numbers than 32 bits can count. */
  readonly #counts = new Float64Array(CELLS);
  #total = 0;
  #lowestCell = CELLS;
  #highestCell = -1;
  #min = Infinity;
  #max = -Infinity;

  /** Enters x[from ... to). */
  add(x: Float32Array, from: number, to: number): void {
    const bits = new Uint32Array(x.buffer, x.byteOffset, x.length);
    let [lowest, highest, min, max] = [this.#lowestCell, this.#highestCell, this.#min, this.#max];
    for (let i = from; i < to; i++) {
      const cell = cellOf(bits[i]!);
      this.#counts[cell]!++;
      if (cell < lowest) lowest = cell;
      if (cell > highest) highest = cell;
      const v = x[i]!;
      if (v < min) min = v;
      if (v > max) max = v;
    }
    [this.#lowestCell, this.#highestCell, this.#min, this.#max] = [lowest, highest, min, max];
    this.#total += to - from;
  }

  /** Forgets all numbers. */
  clear(): void {
    this.#counts.fill(0, this.#lowestCell, this.#highestCell + 1);
    this.#total = 0;
    [this.#lowestCell, this.#highestCell, this.#min, this.#max] = [CELLS, -1, Infinity, -Infinity];
  }

  /**
   * Ends of the range that holds `percent` of the numbers, above 0 and at most 100, and leaves out as many below as above it: the smallest and
   * the largest number where none is left out, else within a relative HISTOGRAM_ERROR. NaN where not all are finite.
   */
  central(percent: number): { min: number; max: number } {
    if (this.#lowestCell <= MINUS_INFINITY || this.#highestCell >= INFINITY) return { min: NaN, max: NaN };
    const outside = leftOut(percent, this.#total);
    if (outside === 0) return { min: this.#min, max: this.#max };
    let low = this.#lowestCell;
    for (let below = this.#counts[low]!; below <= outside;) below += this.#counts[++low]!;
    let high = this.#highestCell;
    for (let above = this.#counts[high]!; above <= outside;) above += this.#counts[--high]!;
    const within = (v: number): number => Math.min(Math.max(v, this.#min), this.#max);
    return { min: within(middle(low)), max: within(middle(high)) };
  }
}

/** How many of `total` numbers lie below the central `percent` of them, and as many above; one or two in the middle are always left. */
export function leftOut(percent: number, total: number): number {
  return Math.max(0, Math.min(Math.floor(((100 - percent) * total) / 200), Math.ceil(total / 2) - 1));
}

/** Larger bits are larger numbers, once the sign is turned; of negative numbers all bits are. */
function cellOf(bits: number): number {
  const top = bits >>> REST;
  return top < SIGN ? SIGN + top : CELLS - 1 - top;
}

function middle(cell: number): number {
  const top = cell < SIGN ? CELLS - 1 - cell : cell - SIGN;
  u32[0] = ((top << REST) | (1 << (REST - 1))) >>> 0;
  return f32[0]!;
}

/** Beyond these cells, which they share with some of the NaN, lie only NaN. */
const INFINITY = cellOf(0x7f800000);
const MINUS_INFINITY = cellOf(0xff800000);
