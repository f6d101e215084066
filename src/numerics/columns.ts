import type { ColumnsProblem, ColumnsResult } from './gptq.js';
import { Blank, blankCodes, TYPESCRIPT_KERNELS, type Kernels, type Placed } from './kernels.js';
import { tileAt, type Tile } from './product.js';
import { makeCodes } from './quantize.js';
import type { ColumnParameters } from './rows.js';

/** Rows that go through all columns together, as lanes of the same vectors. */
const LANES = 64;
/** Strides of tiles have a gap, so that rows do not all fall into the same lines of the cache. */
const GAP = 16;
const STRIDE = LANES + GAP;

/**
 * Quantizes W column by column in the order of work, each error e made up for by the columns to come (arXiv 2210.17323, algorithm 1):
 *
 *     for blocks [i1, i2), for i in the block:
 *       q = fakequant(w_i),  e_i = (w_i - T[q]) / U_ii,  w_j -= e_i U_ij for i < j < i2
 *     W[:, i2:] -= E U[i1:i2, i2:]
 *
 * in float32. A column is updated when its turn comes: by the blocks before as a product each, then by the columns of its own block one after
 * the other. That is the same sequence of operations on every element, and nothing but the errors has to be kept.
 *
 * Rows do not know each other, so W may be cut anywhere between two of them.
 */
export function gptqColumns(problem: ColumnsProblem, kernels: Kernels = TYPESCRIPT_KERNELS): ColumnsResult {
  const { weight, args, grid } = problem;
  const rows = weight.length / grid.columns;
  const result = { codes: makeCodes(args, weight.length), loss: new Float64Array(rows) };
  const at = kernels.place(workplace(problem));
  for (let row = 0; row < rows; row += LANES)
    quantizeLanes(problem, row, Math.min(row + LANES, rows), at, kernels, result);
  return result;
}

type Workplace = Placed<ReturnType<typeof workplace>>;

/** Memory for some lanes. Everything is transposed: a row here is a column of the weight, in the order of work. */
function workplace({ grid: { columns, gridColumns }, blockSize, args }: ColumnsProblem) {
  const block = Math.min(blockSize, columns);
  return {
    /** Weights of the block in work, and errors of all columns. */
    w: new Blank(Float32Array, block * STRIDE),
    e: new Blank(Float32Array, columns * STRIDE),
    /** U[:, block] */
    u: new Blank(Float32Array, columns * (block + GAP)),
    scale: new Blank(Float32Array, gridColumns * LANES),
    zero: args.symmetric ? null : new Blank(Float32Array, gridColumns * LANES),
    values: new Blank(Float32Array, LANES),
    codes: blankCodes(args, columns * LANES),
    loss: new Blank(Float64Array, LANES),
  };
}

/** The rows [from, to), at most as many as there are lanes. */
function quantizeLanes(
  problem: ColumnsProblem,
  from: number,
  to: number,
  at: Workplace,
  kernels: Kernels,
  { codes, loss }: ColumnsResult,
): void {
  const { weight, order, factor, grid, groupIndex, args, dtype, blockSize } = problem;
  const { columns, blockColumns } = grid;
  const parameters = laneParameters(problem, from, to, at);
  const dead = new Set(factor.dead);
  const columnOf = (i: number): number => (order === null ? i : order[i]!);
  const w: Tile<Float32Array> = { values: at.w, at: 0, stride: STRIDE };
  const e: Tile<Float32Array> = { values: at.e, at: 0, stride: STRIDE };
  const u: Tile<Float32Array> = { values: at.u, at: 0, stride: Math.min(blockSize, columns) + GAP };
  at.loss.fill(0);

  for (let i1 = 0; i1 < columns; i1 += blockSize) {
    const i2 = Math.min(i1 + blockSize, columns);
    for (let k = 0; k < i2; k++) at.u.set(factor.U.subarray(k * columns + i1, k * columns + i2), k * u.stride);
    for (let i = i1; i < i2; i++) {
      const column = columnOf(i);
      const lanes = lanesOf(w, i - i1).fill(0);
      if (dead.has(column)) continue;
      for (let row = from; row < to; row++) lanes[row - from] = weight[row * columns + column]!;
    }

    for (let k = 0; k < i1; k += blockSize)
      kernels.subtractProduct(w, tileAt(u, k, 0), tileAt(e, k, 0), { m: i2 - i1, n: LANES, k: blockSize });
    for (let i = i1; i < i2; i++) {
      const column = columnOf(i);
      const by = parameters[groupIndex === null ? Math.floor(column / blockColumns) : groupIndex[column]!]!;
      const own = lanesOf(w, i - i1);
      kernels.subtractTerms(own, tileAt(e, i1, 0), tileAt(u, i1, i - i1), i - i1);
      kernels.scaleRow(own, 0, by, 'F32', at.values);
      kernels.encodeRow(at.values, args, at.codes, i * LANES);
      kernels.decodeRow(at.codes, i * LANES, args, by, at.values, 0);
      kernels.formError(own, at.values, dtype, at.u[i * u.stride + i - i1]!, lanesOf(e, i), at.loss);
    }
  }

  // the reference takes codes from dequantized values once more, and there a zero loses its sign
  const negativeZero = args.type === 'float' ? 1 << (args.num_bits - 1) : NaN;
  for (let i = 0; i < columns; i++) {
    const column = columnOf(i);
    for (let row = from; row < to; row++) {
      const code = at.codes[i * LANES + row - from]!;
      codes[row * columns + column] = code === negativeZero ? 0 : code;
    }
  }
  loss.set(at.loss.subarray(0, to - from), from);
}

function lanesOf({ values }: Tile<Float32Array>, i: number): Float32Array {
  return values.subarray(i * STRIDE, i * STRIDE + LANES);
}

/** Scale and zero point of each lane, for every column of the grid; 1 and 0 in lanes without a row. */
function laneParameters(
  { parameters: { scale, zeroPoint, globalScale }, grid, fromRow }: ColumnsProblem,
  from: number,
  to: number,
  at: Workplace,
): ColumnParameters[] {
  const { gridColumns, blockRows } = grid;
  at.scale.fill(1);
  at.zero?.fill(0);
  for (let row = from; row < to; row++) {
    const first = Math.floor((fromRow + row) / blockRows) * gridColumns;
    for (let g = 0; g < gridColumns; g++) {
      const lane = g * LANES + row - from;
      at.scale[lane] = globalScale === null ? scale[first + g]! : scale[first + g]! / globalScale;
      if (at.zero !== null && zeroPoint !== null) at.zero[lane] = zeroPoint[first + g]!;
    }
  }
  return Array.from({ length: gridColumns }, (_, g) => ({
    scale: at.scale.subarray(g * LANES, (g + 1) * LANES),
    zero: at.zero && at.zero.subarray(g * LANES, (g + 1) * LANES),
  }));
}
