import { TensorpressError } from '../../errors.js';
import { firstNonFinite, widen, widenInto } from '../../numerics/dtypes.js';
import { dequantize } from '../../numerics/quantize.js';
import type { Model } from '../../runtime/model/model.js';
import { weightGrid } from '../../schemes/grids.js';
import { openCompressed, type CompressedModule, type Schemes } from '../compressed.js';
import { rowPieces } from '../weights.js';

/** The weights of a model in float32, however they are stored; codes are dequantized in float32. Nothing is kept. */
export interface Reader {
  /** Dimensions of a tensor; of a compressed one those of the matrix. */
  shape(tensor: string): Promise<readonly number[]>;
  /**
   * The numbers of a tensor, or of its rows [from, to) along the first dimension.
   * @param out memory of that many numbers. Default: new memory
   * @throws TensorpressError TENSOR when it is missing, cannot be read, or holds NaN or infinity
   */
  read(
    tensor: string,
    options?: { rows?: { from: number; to: number } | undefined; out?: Float32Array | undefined },
  ): Promise<Float32Array>;
}

/**
 * Reads the weights of a model.
 * @param schemes of a compressed checkpoint; undefined where no weight is stored as codes
 */
export function openReader(model: Model, schemes: Schemes | undefined): Reader {
  const { source } = model;
  /** The last module that was opened: its parameters serve all its pieces. */
  let open: CompressedModule | undefined;
  const compressed = async (tensor: string): Promise<CompressedModule | undefined> => {
    const module = tensor.endsWith('.weight') ? tensor.slice(0, -'.weight'.length) : tensor;
    const scheme = schemes?.compressed.get(module);
    if (scheme === undefined) return undefined;
    if (open?.module !== module) open = await openCompressed(model, module, scheme);
    return open;
  };
  const infoOf = (tensor: string) => {
    const info = source.tensors.get(tensor);
    if (info !== undefined) return info;
    throw new TensorpressError('TENSOR', `the weights lack ${tensor}`, {
      place: { tensor },
      hint: 'the model is incomplete: download it again',
    });
  };

  return {
    async shape(tensor) {
      const codes = await compressed(tensor);
      if (codes === undefined) return infoOf(tensor).shape;
      return [codes.stored.spec.rows, codes.stored.spec.columns];
    },
    async read(tensor, { rows, out } = {}) {
      const codes = await compressed(tensor);
      if (codes !== undefined) {
        const { format, stored } = codes;
        const { spec, parameters } = stored;
        const { from, to } = rows ?? { from: 0, to: spec.rows };
        const grid = weightGrid(spec.args, spec.rows, spec.columns);
        const w = out ?? new Float32Array((to - from) * spec.columns);
        for (const piece of rowPieces({ rows: to - from, columns: spec.columns })) {
          const place = { from: from + piece.from, to: from + piece.to };
          const read = format.decompress(await source.read(stored.codes, place), spec);
          w.set(
            dequantize(read, place.from, grid, parameters, spec.args, parameters.groupIndex),
            piece.from * spec.columns,
          );
        }
        return finite(w, tensor, undefined);
      }
      const { dtype, file, shape } = infoOf(tensor);
      if (out === undefined) return finite(widen(await source.read(tensor, rows), dtype), tensor, file);
      const [count = 1, ...others] = shape;
      const { from, to } = rows ?? { from: 0, to: count };
      const columns = others.reduce((product, size) => product * size, 1);
      const pieces = shape.length === 2 ? rowPieces({ rows: to - from, columns }) : [{ from: 0, to: to - from }];
      // the same memory for all pieces, and each is looked at while it is in the processor's caches
      let stored = new Uint8Array(0);
      const memory = (bytes: number) => {
        if (stored.length < bytes) stored = new Uint8Array(bytes);
        return stored.subarray(0, bytes);
      };
      for (const piece of pieces) {
        const place = shape.length === 0 ? undefined : { from: from + piece.from, to: from + piece.to };
        const wide = out.subarray(piece.from * columns, piece.to * columns);
        widenInto(await source.read(tensor, place, memory), dtype, wide);
        finite(wide, tensor, file);
      }
      return out;
    },
  };
}

function finite(x: Float32Array, tensor: string, file: string | undefined): Float32Array {
  const at = firstNonFinite(x);
  if (at < 0) return x;
  throw new TensorpressError('TENSOR', `${tensor} holds ${x[at]}, so the model cannot be run`, {
    place: { tensor, ...(file === undefined ? {} : { file }) },
    hint: 'the model is damaged: download it again',
  });
}
