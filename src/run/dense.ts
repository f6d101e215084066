import type { TensorInfo } from '../formats/source.js';
import { TensorpressError } from '../errors.js';
import { DTYPE_BYTES, narrow, widen, type DType, type ModelDType } from '../numerics/dtypes.js';
import { dequantize } from '../numerics/quantize.js';
import type { StoredTensor } from '../outputs/safetensors-folder.js';
import { dtypeName } from '../runtime/model/config.js';
import type { Model } from '../runtime/model/model.js';
import { weightGrid } from '../schemes/grids.js';
import type { CompressedModule } from './compressed.js';
import { rowPieces, tensorPieces } from './weights.js';

/** What rounds to infinity, from there on. */
const OVERFLOW: Record<ModelDType, number> = { F32: Infinity, BF16: (2 - 2 ** -8) * 2 ** 127, F16: 65520 };

/** Scales and zero points of activations and caches: nothing of a weight depends on them. */
const ACTIVATION =
  /\.(input_scale|input_zero_point|input_global_scale|output_scale|output_zero_point|[qkv]_scale|[qkv]_zero_point)$/;

/** A tensor of the result, and how its bytes come about. */
export interface Dense extends StoredTensor {
  chunks(): AsyncGenerator<{ offset: number; bytes: Uint8Array }>;
}

/** Every tensor of the result, and how many were left out because they belong to activations or caches. */
export function denseTensors(
  { source }: Model,
  compressed: readonly CompressedModule[],
  asked: ModelDType | undefined,
): { tensors: Dense[]; activations: number } {
  const owned = new Set(compressed.flatMap(({ tensors }) => [...tensors]));
  const rest = [...source.tensors.values()].filter(({ name }) => !owned.has(name));
  const kept = rest.filter(({ name }) => !ACTIVATION.test(name));
  const copied = kept.map((tensor): Dense => {
    const { name, shape, dtype } = tensor;
    const to = asked !== undefined && isModelDType(dtype) ? asked : dtype;
    return { name, shape, dtype: to, chunks: () => copiedChunks(source, tensor, to) };
  });
  const decompressed = compressed.map((item): Dense => {
    const { rows, columns, dtype } = item.stored.spec;
    const to = asked ?? dtype;
    const name = `${item.module}.weight`;
    return { name, shape: [rows, columns], dtype: to, chunks: () => decompressedChunks(source, item, name, to) };
  });
  return { tensors: [...decompressed, ...copied], activations: rest.length - kept.length };
}

async function* decompressedChunks(
  source: Model['source'],
  { format, stored: { spec, parameters, codes: tensor } }: CompressedModule,
  name: string,
  dtype: ModelDType,
) {
  const { rows, columns, args } = spec;
  const grid = weightGrid(args, rows, columns);
  for (const piece of rowPieces(spec)) {
    const codes = format.decompress(await source.read(tensor, piece), spec);
    const w = dequantize(codes, piece.from, grid, parameters, args, parameters.groupIndex);
    yield { offset: piece.from * columns * DTYPE_BYTES[dtype], bytes: rounded(w, dtype, name) };
  }
}

async function* copiedChunks(source: Model['source'], tensor: TensorInfo, to: DType) {
  const { name, dtype } = tensor;
  for (const { offset, rows } of tensorPieces(tensor)) {
    const bytes = await source.read(name, rows);
    if (to === dtype) yield { offset, bytes };
    else {
      const place = (offset / DTYPE_BYTES[dtype]) * DTYPE_BYTES[to];
      yield { offset: place, bytes: rounded(widen(bytes, dtype), to as ModelDType, name) };
    }
  }
}

/** @throws TensorpressError TENSOR when a number is not finite, or would not be any more */
function rounded(x: Float32Array, dtype: ModelDType, tensor: string): Uint8Array {
  const limit = OVERFLOW[dtype];
  for (let i = 0; i < x.length; i++) {
    const v = x[i]!;
    if (Math.abs(v) < limit) continue;
    throw new TensorpressError('TENSOR', `${tensor} holds ${v}, which is out of the range of ${dtypeName(dtype)}`, {
      place: { tensor },
      hint: dtype === 'F32' ? 'the checkpoint is damaged: fetch it again' : 'convert with --dtype float32',
    });
  }
  return narrow(x, dtype);
}

function isModelDType(dtype: DType): dtype is ModelDType {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}
