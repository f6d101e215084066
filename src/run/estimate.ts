import { accumulateError, emptyError } from '../numerics/error.js';
import { narrow } from '../numerics/dtypes.js';
import { accumulateRange, emptyRange } from '../numerics/grid.js';
import { qparams } from '../numerics/qparams.js';
import { dequantize, quantize } from '../numerics/quantize.js';
import { weightFormat } from '../formats/weights/table.js';
import type { Output } from '../outputs/output.js';
import type { Plan } from '../recipe/plan.js';
import { weightedModules } from '../runtime/model/model.js';
import { weightGrid } from '../schemes/grids.js';
import { CHUNK_ELEMENTS } from './weights.js';

export interface Estimate {
  readonly seconds: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** Bytes per second of reading, hashing and writing that the estimate assumes: a plain SSD with SHA-256 in hardware. */
const COPY_RATE = 400e6;
const SAMPLE_ROWS = 64;

/**
 * What a run will take. Arithmetic is measured here and now, on a small weight for each distinct scheme; disk speed is assumed.
 * Memory: this process plus the buffers of one chunk and the scales of the largest module.
 */
export function estimate(plan: Plan, outputs: readonly Output[], now: () => number): Estimate {
  const perElement = new Map<string, number>();
  let seconds = 0;
  let largest = 0;
  for (const { name, weight } of weightedModules(plan.model)) {
    const scheme = plan.outcome.schemes.get(name);
    if (!scheme?.weights || plan.outcome.joined.has(name)) continue;
    const key = JSON.stringify([scheme.weights, weight.dtype, scheme.format]);
    const args = scheme.weights;
    if (!perElement.has(key)) perElement.set(key, secondsPerElement(args, scheme.format, weight.dtype, now));
    seconds += perElement.get(key)! * weight.rows * weight.columns;
    const { gridRows, gridColumns } = weightGrid(args, weight.rows, weight.columns);
    largest = Math.max(largest, gridRows * gridColumns);
  }
  const source = [...plan.model.source.tensors.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  const written = outputs.reduce((sum, { files }) => sum + files.reduce((n, { bytes }) => n + bytes, 0), 0);
  return {
    seconds: seconds + (source + written) / COPY_RATE,
    // decoded rows, reconstruction, codes, stored and packed bytes of a chunk; min, max, scale and zero point of every block
    memoryBytes: process.memoryUsage.rss() + CHUNK_ELEMENTS * 16 + largest * 16,
    diskBytes: written,
  };
}

function secondsPerElement(
  args: NonNullable<Parameters<typeof weightGrid>[0]>,
  format: Parameters<typeof weightFormat>[0],
  dtype: Parameters<typeof qparams>[2],
  now: () => number,
): number {
  // a multiple of every usual group size, so that any grid fits
  const columns =
    Math.max(1024, args.group_size ?? 0) - (Math.max(1024, args.group_size ?? 0) % Math.max(1, args.group_size ?? 1));
  const x = Float32Array.from({ length: SAMPLE_ROWS * columns }, (_, i) => Math.sin(i * 0.7) * 0.05);
  narrow(x, dtype);
  const grid = weightGrid(args, SAMPLE_ROWS, columns);
  const spec = { rows: SAMPLE_ROWS, columns, dtype, args };
  const once = () => {
    const range = emptyRange(grid);
    accumulateRange(x, 0, grid, range);
    const q = qparams(range, args, dtype, args.strategy === 'tensor_group' ? 1 : null);
    const codes = quantize(x, 0, grid, q, args, dtype);
    weightFormat(format).compress(codes, spec);
    accumulateError(x, dequantize(codes, 0, grid, q, args), 0, columns, emptyError(SAMPLE_ROWS));
  };
  once(); // the first round compiles
  once();
  const start = now();
  let rounds = 0;
  do {
    once();
    rounds++;
  } while (now() - start < 10 && rounds < 20);
  return (now() - start) / 1000 / rounds / x.length;
}
