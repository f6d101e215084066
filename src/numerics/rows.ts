import { roundArray, type ModelDType } from './dtypes.js';
import { E2M1, E4M3, encodeE2M1, encodeE4M3, ROUND } from './floats.js';
import type { Codes, Grid, QParams } from './grid.js';
import { codeRange, type Quantizer } from './qparams.js';

/**
 * Scale and zero point of every column of one row: what the blocks of a grid look like from inside a row. Quantizing, dequantizing and the
 * error search are passes over rows with these vectors, whatever the strategy.
 */
export interface ColumnParameters {
  /** [columns]; for NVFP4 f32[s / G]. */
  readonly scale: Float32Array;
  /** [columns], null for symmetric schemes. */
  readonly zero: Float32Array | null;
}

/** Unset parameters of `columns` columns. */
function makeColumnParameters(columns: number, { symmetric }: Quantizer): ColumnParameters {
  return { scale: new Float32Array(columns), zero: symmetric ? null : new Float32Array(columns) };
}

/**
 * Spreads the parameters of blocks over the columns of a row.
 * @param first index of the row's first block in q
 * @param blocks columns per block, or the block of each column (g_idx)
 */
export function spreadBlocks(
  q: QParams,
  first: number,
  blocks: number | Int32Array,
  { scale, zero }: ColumnParameters,
): void {
  spread(q.scale, first, blocks, scale);
  if (q.globalScale !== null) divideBy(scale, q.globalScale);
  if (zero !== null && q.zeroPoint !== null) spread(q.zeroPoint, first, blocks, zero);
}

function spread(from: Float32Array | Int8Array, first: number, blocks: number | Int32Array, to: Float32Array): void {
  if (typeof blocks === 'number')
    for (let c = 0, b = first; c < to.length; c += blocks, b++) to.fill(from[b]!, c, c + blocks);
  else for (let c = 0; c < to.length; c++) to[c] = from[first + blocks[c]!]!;
}

/** Calls `visit(at, parameters)` for each whole row of `length` elements from row fromRow on, `at` being where it starts. */
export function forEachRow(
  length: number,
  fromRow: number,
  grid: Grid,
  q: QParams,
  args: Quantizer,
  groupIndex: Int32Array | null,
  visit: (at: number, parameters: ColumnParameters) => void,
): void {
  const parameters = makeColumnParameters(grid.columns, args);
  let spreadRow = -1;
  for (let at = 0, row = fromRow; at < length; at += grid.columns, row++) {
    const blockRow = Math.floor(row / grid.blockRows);
    if (blockRow !== spreadRow)
      spreadBlocks(q, blockRow * grid.gridColumns, groupIndex ?? grid.blockColumns, parameters);
    spreadRow = blockRow;
    visit(at, parameters);
  }
}

function divideBy(values: Float32Array, divisor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = values[i]! / divisor;
}

/** out[c] = T[T[x[at + c] / scale[c]] + zero[c]], the quantized values before clamping and rounding to codes. */
export function scaleRow(
  x: Float32Array,
  at: number,
  { scale, zero }: ColumnParameters,
  dtype: ModelDType,
  out: Float32Array,
): void {
  for (let c = 0; c < out.length; c++) out[c] = x[at + c]! / scale[c]!;
  roundArray(out, dtype);
  if (zero === null) return;
  for (let c = 0; c < out.length; c++) out[c] = out[c]! + zero[c]!;
  roundArray(out, dtype);
}

/** Clamps values to the codes' range and rounds them to the nearest code, ties to even; writes codes[at ...]. -0 counts as 0. */
export function encodeRow(values: Float32Array, args: Quantizer, codes: Codes, at: number): void {
  if (args.type === 'int') encodeInts(values, codeRange(args), codes, at);
  else if (args.num_bits === 4) encodeE2M1s(values, codes, at);
  else encodeE4M3s(values, codes, at);
}

function encodeInts(
  values: Float32Array,
  { lowest, highest }: { lowest: number; highest: number },
  codes: Codes,
  at: number,
): void {
  for (let c = 0; c < values.length; c++) {
    const v = values[c]!;
    codes[at + c] = (v < lowest ? lowest : v > highest ? highest : v) + ROUND - ROUND;
  }
}

function encodeE2M1s(values: Float32Array, codes: Codes, at: number): void {
  for (let c = 0; c < values.length; c++) codes[at + c] = encodeE2M1(values[c]!);
}

function encodeE4M3s(values: Float32Array, codes: Codes, at: number): void {
  for (let c = 0; c < values.length; c++) codes[at + c] = encodeE4M3(values[c]! + 0);
}

/** out[outAt + c] = (codes[at + c] - zero[c]) * scale[c] in float32, for the columns of one row. */
export function decodeRow(
  codes: Codes,
  at: number,
  args: Quantizer,
  { scale, zero }: ColumnParameters,
  out: Float32Array,
  outAt: number,
): void {
  const columns = scale.length;
  if (args.type === 'float') {
    const values = args.num_bits === 4 ? E2M1 : E4M3;
    for (let c = 0; c < columns; c++) out[outAt + c] = values[codes[at + c]!]! * scale[c]!;
  } else if (zero === null) {
    for (let c = 0; c < columns; c++) out[outAt + c] = codes[at + c]! * scale[c]!;
  } else {
    for (let c = 0; c < columns; c++) out[outAt + c] = (codes[at + c]! - zero[c]!) * scale[c]!;
  }
}
