import { readFile, realpath, rm, rmdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import { writeWhole } from '../formats/files.js';
import type { TensorInfo } from '../formats/source.js';
import { DTYPE_BYTES, narrow, widen, type DType, type ModelDType } from '../numerics/dtypes.js';
import { dequantize } from '../numerics/quantize.js';
import { MAX_SHARD } from '../outputs/checkpoint.js';
import { sortedJson } from '../outputs/quantization-config.js';
import { safetensorsFolder, type StoredTensor } from '../outputs/safetensors-folder.js';
import { QUANTIZATION_KEYS } from '../runtime/model/config.js';
import { loadModel } from '../runtime/model/load.js';
import type { Model } from '../runtime/model/model.js';
import { weightGrid } from '../schemes/grids.js';
import { isRecord } from '../schemes/problem.js';
import { compressedModules, quantizationOf, type CompressedModule } from './compressed.js';
import { claimFolder, clearOld, folderState } from './files.js';
import { rowPieces, tensorPieces } from './weights.js';

export interface ConvertOptions {
  /** A compressed-tensors checkpoint. */
  readonly model: string;
  readonly to: 'dense';
  readonly out: string;
  /** Default: the dtype that the model had. */
  readonly dtype?: 'float32' | 'float16' | 'bfloat16';
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

export interface Converted {
  readonly folder: string;
  /** How many modules were decompressed. */
  readonly modules: number;
  readonly bytes: number;
  /** A sentence about what a dense checkpoint cannot hold; null when nothing was lost. */
  readonly dropped: string | null;
}

const DTYPES = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' } as const;
/** What rounds to infinity, from there on. */
const OVERFLOW: Record<ModelDType, number> = { F32: Infinity, BF16: (2 - 2 ** -8) * 2 ** 127, F16: 65520 };

/** Scales and zero points of activations and caches: nothing of a weight depends on them. */
const ACTIVATION =
  /\.(input_scale|input_zero_point|input_global_scale|output_scale|output_zero_point|[qkv]_scale|[qkv]_zero_point)$/;
/** Places where a transform was applied to the weights for good. */
const FOLDED = ['weight_input', 'weight_output'];

/** A tensor of the result, and how its bytes come about. */
interface Written extends StoredTensor {
  chunks(): AsyncGenerator<{ offset: number; bytes: Uint8Array }>;
}

/**
 * Decompresses a checkpoint: w = (q - z) s in float32, rounded once to the dtype that is asked for. Files get their names when all tensors
 * are written, config.json comes last; what fails or is stopped before leaves nothing.
 * @throws TensorpressError MODEL, TENSOR, DISK; INTERRUPTED when `signal` says so
 */
export async function convert({ signal, force = false, ...options }: ConvertOptions): Promise<Converted> {
  const folder = resolve(options.out);
  await refuseFolder(folder, resolve(options.model), force);
  const model = await loadModel(options.model);
  try {
    const quantization = quantizationOf(model);
    refuseOnline(quantization);
    const asked = options.dtype && DTYPES[options.dtype];
    const compressed = await compressedModules(model, quantization);
    const { tensors, activations } = layOut(model, compressed, asked);
    const output = safetensorsFolder(tensors, folder, MAX_SHARD);
    const carried: string[] = [];
    try {
      await output.open(new Set());
      for (const { name, chunks } of tensors) {
        for await (const { offset, bytes } of chunks()) {
          signal?.throwIfAborted();
          await output.write(name, offset, bytes);
        }
      }
      await clearOld(folder, []);
      for (const name of model.companions) {
        await writeWhole(join(folder, name), await readFile(join(model.folder, name)));
        carried.push(join(folder, name));
      }
      await output.finish();
    } catch (error) {
      await output.discard();
      for (const path of carried) await rm(path, { force: true });
      await rmdir(folder).catch(() => {}); // it may hold something else
      if (!signal?.aborted) throw error;
      throw new TensorpressError('INTERRUPTED', 'stopped; nothing was written', { hint: 'run the same command again' });
    }
    await writeWhole(join(folder, 'config.json'), sortedJson(denseConfig(model.config, options.dtype)));
    const { tensorBytes: bytes } = output;
    return { folder, modules: compressed.length, bytes, dropped: droppedLine(quantization, activations) };
  } finally {
    await model.source.close();
  }
}

/** A conversion cannot go on where another one, or a run, was stopped. */
async function refuseFolder(folder: string, source: string, force: boolean): Promise<void> {
  const real = async (path: string) => realpath(path).catch(() => path);
  if ((await real(folder)) === (await real(source))) {
    throw new TensorpressError('ARGUMENT', 'the output folder is the checkpoint itself', {
      hint: 'choose another folder with --out',
    });
  }
  await claimFolder(folder, force);
  if (force || (await folderState(folder)) !== 'unfinished') return;
  throw new TensorpressError('FINISHED', `${folder} holds an unfinished run`, {
    hint: 'choose another folder with --out, or replace what is there with --force',
  });
}

/** Every tensor of the result, and how many were left out because they belong to activations or caches. */
function layOut(
  { source }: Model,
  compressed: readonly CompressedModule[],
  asked: ModelDType | undefined,
): { tensors: Written[]; activations: number } {
  const owned = new Set(compressed.flatMap(({ tensors }) => [...tensors]));
  const rest = [...source.tensors.values()].filter(({ name }) => !owned.has(name));
  const kept = rest.filter(({ name }) => !ACTIVATION.test(name));
  const copied = kept.map((tensor): Written => {
    const { name, shape, dtype } = tensor;
    const to = asked !== undefined && isModelDType(dtype) ? asked : dtype;
    return { name, shape, dtype: to, chunks: () => copiedChunks(source, tensor, to) };
  });
  const decompressed = compressed.map((item): Written => {
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
    throw new TensorpressError('TENSOR', `${tensor} holds ${v}, which is out of the range of ${nameOf(dtype)}`, {
      place: { tensor },
      hint: dtype === 'F32' ? 'the checkpoint is damaged: fetch it again' : 'convert with --dtype float32',
    });
  }
  return narrow(x, dtype);
}

function nameOf(dtype: ModelDType): string {
  return Object.entries(DTYPES).find(([, value]) => value === dtype)![0];
}

function isModelDType(dtype: DType): dtype is ModelDType {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/** Rotations of activations are a part of the model until they are folded into weights; those of weights are folded already. */
function refuseOnline({ transform_config: transforms }: Readonly<Record<string, unknown>>): void {
  const groups = isRecord(transforms) && isRecord(transforms['config_groups']) ? transforms['config_groups'] : {};
  const places = Object.values(groups)
    .flatMap(group => (isRecord(group) ? group['apply'] : []))
    .map(entry => (isRecord(entry) ? entry['location'] : entry));
  if (places.every(place => FOLDED.includes(String(place)))) return;
  throw new TensorpressError(
    'NOT_BUILT',
    'this checkpoint rotates activations while it runs (transform_config), and this version of tensorpress does not fold such rotations back yet',
  );
}

function droppedLine(quantization: Readonly<Record<string, unknown>>, tensors: number): string | null {
  const { config_groups: groups, kv_cache_scheme: cache } = quantization;
  const ofActivations = Object.values(isRecord(groups) ? groups : {}).some(
    group => isRecord(group) && (group['input_activations'] ?? group['output_activations']) != null,
  );
  const what = [
    ...(ofActivations ? ['the scheme of the activations'] : []),
    ...(cache == null ? [] : ['kv_cache_scheme']),
    ...(tensors === 0 ? [] : [`${tensors} ${tensors === 1 ? 'tensor that belongs' : 'tensors that belong'} to them`]),
  ];
  return what.length === 0 ? null : `dropped, because a dense checkpoint has no place for them: ${what.join(', ')}`;
}

/** config.json without the quantization; a model with more than text says it, and its dtype, once more under text_config. */
function denseConfig(config: Readonly<Record<string, unknown>>, dtype: string | undefined): Record<string, unknown> {
  const dense = Object.fromEntries(Object.entries(config).filter(([key]) => !QUANTIZATION_KEYS.includes(key)));
  if (dtype !== undefined) dense['torch_dtype' in dense && !('dtype' in dense) ? 'torch_dtype' : 'dtype'] = dtype;
  const { text_config: text } = dense;
  return isRecord(text) ? { ...dense, text_config: denseConfig(text, dtype) } : dense;
}
