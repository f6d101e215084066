import { TensorpressError } from '../../../errors.js';
import { fakeQuantize } from '../../../schemes/activation.js';
import type { QuantizationArgs } from '../../../schemes/args.js';
import type { HostArray } from '../engine.js';

/** table[ids]: [rows, width], [T] -> [T, width] */
export function gathered(table: HostArray, rows: number, width: number, ids: HostArray): Float32Array {
  const out = new Float32Array(ids.length * width);
  ids.forEach((id, t) => {
    if (id < 0 || id >= rows) throw new TensorpressError('INTERNAL', `a table of ${rows} rows has no row ${id}`);
    out.set(table.subarray(id * width, (id + 1) * width), t * width);
  });
  return out;
}

/** softmax over each row of [T, experts], of which the `top` largest stay; on a tie the lower index. */
export function routes(
  x: HostArray,
  experts: number,
  { top, normalize }: { top: number; normalize: boolean },
): Float32Array {
  const out = new Float32Array(x.length);
  const p = new Float64Array(experts);
  for (let at = 0; at < x.length; at += experts) {
    const row = x.subarray(at, at + experts);
    const m = Math.max(...row);
    let total = 0;
    for (let e = 0; e < experts; e++) total += p[e] = Math.exp(row[e]! - m);
    const chosen = Array.from(p.keys())
      .sort((a, b) => p[b]! - p[a]! || a - b)
      .slice(0, top);
    if (normalize) total = chosen.reduce((sum, e) => sum + p[e]!, 0);
    for (const e of chosen) out[at + e] = p[e]! / total;
  }
  return out;
}

export interface StoredParameters {
  readonly scale: HostArray | undefined;
  readonly zeroPoint: HostArray | undefined;
  readonly globalScale: HostArray | undefined;
}

/** x[T, C] quantized and dequantized in float32, with the stored parameters if there is a scale, else with those of x itself. */
export function fakeQuantized(
  x: HostArray,
  shape: readonly number[],
  args: QuantizationArgs,
  { scale, zeroPoint, globalScale: G }: StoredParameters,
): Float32Array {
  const globalScale = G?.[0] ?? null;
  if (args.dynamic === 'local' && globalScale === null)
    throw new TensorpressError('INTERNAL', 'a local scheme without its global scale');
  if (args.dynamic === false && scale === undefined)
    throw new TensorpressError('INTERNAL', 'a static scheme without its scale');
  const zeros = zeroPoint === undefined || args.symmetric ? null : Int8Array.from(zeroPoint);
  const stored = scale && { scale: Float32Array.from(scale), zeroPoint: zeros, globalScale };
  return fakeQuantize(Float32Array.from(x), shape, args, 'F32', stored ? { stored } : { globalScale }).values;
}
