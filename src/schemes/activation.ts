import { roundArray, type ModelDType } from '../numerics/dtypes.js';
import { accumulateRange, emptyRange, makeGrid, type Grid, type QParams } from '../numerics/grid.js';
import { qparams } from '../numerics/qparams.js';
import { dequantize, quantize } from '../numerics/quantize.js';
import type { QuantizationArgs } from './args.js';
import { weightGrid } from './grids.js';

export interface FakeQuantized {
  /** Same shape as the input, exact in T. */
  readonly values: Float32Array;
  readonly q: QParams;
  /** [1] for tensor; [heads] for attn_head; else the leading dimensions, then the number of scales of each last dimension. */
  readonly scaleShape: number[];
}

/**
 * What a reader's kernels make of an activation x[..., H]: quantized and dequantized with parameters from x itself (dynamic) or stored ones
 * (static). token: one scale per last dimension; group and tensor_group: one per g consecutive elements of it; tensor: one for all;
 * attn_head, always static: one per head, stored.scale.length heads in the last dimension.
 * @param options.globalScale the stored input_global_scale of `dynamic: local`
 * @param options.stored the stored parameters of a static scheme
 */
export function fakeQuantize(
  x: Float32Array,
  shape: readonly number[],
  args: QuantizationArgs,
  dtype: ModelDType,
  { globalScale = null, stored }: { globalScale?: number | null; stored?: QParams } = {},
): FakeQuantized {
  const columns = shape.at(-1) ?? 1;
  const grid = activationGrid(args, x.length / columns, columns, stored);
  const q = stored ?? observe(x, grid, args, dtype, globalScale);
  const values = dequantize(quantize(x, 0, grid, q, args, dtype), 0, grid, q, args);
  const leading = args.strategy === 'tensor' || args.strategy === 'attn_head' ? [] : shape.slice(0, -1);
  return { values: roundArray(values, dtype), q, scaleShape: [...leading, grid.gridColumns] };
}

function activationGrid(args: QuantizationArgs, rows: number, columns: number, stored: QParams | undefined): Grid {
  if (args.strategy === 'token') return makeGrid(rows, columns, 1, columns);
  if (args.strategy === 'attn_head' && stored) return makeGrid(rows, columns, rows, columns / stored.scale.length);
  return weightGrid(args, rows, columns);
}

function observe(
  x: Float32Array,
  grid: Grid,
  args: QuantizationArgs,
  dtype: ModelDType,
  globalScale: number | null,
): QParams {
  const range = emptyRange(grid);
  accumulateRange(x, 0, grid, range);
  return qparams(range, args, dtype, globalScale, { float16: 'reference' }); // readers have no other arithmetic
}
