/**
 * Every strategy is a grid of equal blocks laid over W[rows, columns], one scale per block; blocks at the bottom and right may stick out
 * (as if the weight were padded with zeros). tensor: one block. channel: rows of one block. group: blocks of 1 x g. block: bh x bw.
 */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
  readonly blockRows: number;
  readonly blockColumns: number;
  /** ceil(rows / blockRows) */
  readonly gridRows: number;
  /** ceil(columns / blockColumns) */
  readonly gridColumns: number;
}

/** Minimum and maximum of each block, [gridRows, gridColumns] row by row. */
export interface Range {
  readonly min: Float32Array;
  readonly max: Float32Array;
}

/** Quantization parameters of each block; the values are exact in the dtype they are stored in. */
export interface QParams {
  /** [gridRows, gridColumns] */
  readonly scale: Float32Array;
  /** Same shape, signed range; null for symmetric schemes. */
  readonly zeroPoint: Int8Array | null;
  /** G of NVFP4, null elsewhere. */
  readonly globalScale: number | null;
}

/** Integer codes in the signed range (Int8Array), fp8 bytes or fp4 codes 0...15 (Uint8Array), row by row. */
export type Codes = Int8Array | Uint8Array;

/** The grid of blocks of blockRows x blockColumns over W[rows, columns]. */
export function makeGrid(rows: number, columns: number, blockRows: number, blockColumns: number): Grid {
  const gridRows = Math.ceil(rows / blockRows);
  const gridColumns = Math.ceil(columns / blockColumns);
  return { rows, columns, blockRows, blockColumns, gridRows, gridColumns };
}

/** A range that has seen nothing: every block is (+Infinity, -Infinity). */
export function emptyRange(grid: Grid): Range {
  const blocks = grid.gridRows * grid.gridColumns;
  return { min: new Float32Array(blocks).fill(Infinity), max: new Float32Array(blocks).fill(-Infinity) };
}

/**
 * Widens `into` by the whole rows fromRow, fromRow + 1, ... that `x` holds. Chunks may end anywhere between two rows and come in any order.
 * NaN is passed over: look for it with `firstNonFinite`. Zero loses its sign, so that the order of comparisons does not show.
 */
export function accumulateRange(x: Float32Array, fromRow: number, grid: Grid, into: Range): void {
  const { columns, blockRows, blockColumns, gridColumns } = grid;
  const { min, max } = into;
  for (let at = 0, row = fromRow; at < x.length; at += columns, row++) {
    let block = Math.floor(row / blockRows) * gridColumns;
    for (let from = 0; from < columns; from += blockColumns, block++) {
      const end = at + Math.min(from + blockColumns, columns);
      let lowest = min[block]!;
      let highest = max[block]!;
      for (let i = at + from; i < end; i++) {
        const v = x[i]!;
        if (v < lowest) lowest = v;
        if (v > highest) highest = v;
      }
      min[block] = lowest + 0;
      max[block] = highest + 0;
    }
  }
}

/** Largest magnitude in any block; 0 for an empty range. */
export function absmax(range: Range): number {
  const { min, max } = range;
  let largest = 0;
  for (let i = 0; i < min.length; i++) {
    const a = -min[i]!;
    const b = max[i]!;
    if (a > largest) largest = a; // a block that has seen nothing: -Infinity
    if (b > largest) largest = b;
  }
  return largest;
}
