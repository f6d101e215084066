import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import { writeWhole } from '../formats/files.js';
import type { WeightFormat } from '../formats/format.js';
import { parseJsonStrict } from '../formats/jsonText.js';
import { openSafetensors } from '../formats/safetensors/source.js';
import type { Source } from '../formats/source.js';
import { openWeight, type StoredWeight } from '../formats/weights/stored.js';
import { weightFormat } from '../formats/weights/table.js';
import { DTYPE_BYTES, narrow, widen, type ModelDType } from '../numerics/dtypes.js';
import { dequantize } from '../numerics/quantize.js';
import { MAX_SHARD } from '../outputs/checkpoint.js';
import { safetensorsFolder, type StoredTensor } from '../outputs/safetensors-folder.js';
import { sortedJson } from '../outputs/quantization-config.js';
import { companionsOf } from '../runtime/model/load.js';
import { inferClass } from '../runtime/model/infer.js';
import type { QuantizationScheme } from '../schemes/args.js';
import { inferFormat } from '../schemes/formats.js';
import { weightGrid } from '../schemes/grids.js';
import { normalizeScheme } from '../schemes/scheme.js';
import { compilePattern, prioritize } from '../schemes/targets.js';
import { claimFolder, clearOld } from './files.js';
import { CHUNK_ELEMENTS, tensorPieces } from './weights.js';

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
  /** Modules that were decompressed. */
  readonly modules: number;
  readonly bytes: number;
  /** One sentence each: what a dense checkpoint cannot hold. */
  readonly dropped: readonly string[];
}

const DTYPES: Record<string, ModelDType> = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' };
const DTYPE_NAMES: Record<ModelDType, string> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/** Scales and zero points of activations and caches: nothing of a weight depends on them. */
const ACTIVATION =
  /\.(input_scale|input_zero_point|input_global_scale|output_scale|output_zero_point|[qkv]_scale|[qkv]_zero_point)$/;
const ONLINE = new Set(['input', 'output', 'q_attn', 'k_cache']);

interface Compressed {
  readonly module: string;
  readonly format: WeightFormat;
  readonly stored: StoredWeight;
  /** Of the result. */
  readonly dtype: ModelDType;
}

/** Decompresses a checkpoint: w = (q - z) s in float32, rounded once to the dtype that is asked for. */
export async function convert(options: ConvertOptions): Promise<Converted> {
  const source_ = resolve(options.model);
  const folder = resolve(options.out);
  const signal = options.signal ?? new AbortController().signal;
  if (folder === source_)
    throw new TensorpressError('ARGUMENT', 'the output folder is the checkpoint itself', {
      hint: 'choose another --out',
    });
  await claimFolder(folder, options.force ?? false);
  const config = await readConfig(source_);
  const quantization = quantizationOf(config, source_);
  const source = await openSafetensors(source_);
  try {
    const asked = options.dtype === undefined ? undefined : DTYPES[options.dtype];
    const compressed = await compressedModules(source, config, quantization, asked);
    const { tensors, dropped } = planTensors(source, compressed, asked, quantization);
    const output = safetensorsFolder(tensors, folder, MAX_SHARD);
    try {
      await output.open(new Set());
      for (const item of compressed.values()) {
        for await (const { offset, bytes } of decompressed(source, item)) {
          signal.throwIfAborted();
          await output.write(`${item.module}.weight`, offset, bytes);
        }
      }
      for (const { name, dtype, module } of tensors) {
        if (module !== undefined) continue;
        const stored = source.tensors.get(name)!;
        for (const { offset, rows } of tensorPieces(stored)) {
          signal.throwIfAborted();
          const bytes = await source.read(name, rows);
          const place = (offset / DTYPE_BYTES[stored.dtype]) * DTYPE_BYTES[dtype];
          await output.write(name, place, stored.dtype === dtype ? bytes : narrow(widen(bytes, stored.dtype), dtype));
        }
      }
      await clearOld(folder, []);
      await output.finish();
    } catch (error) {
      await output.close();
      throw signal.aborted
        ? new TensorpressError('INTERRUPTED', 'stopped; nothing was written', { hint: 'run the same command again' })
        : error;
    }
    for (const name of await companionsOf(source_))
      await writeWhole(join(folder, name), await readFile(join(source_, name)));
    await writeWhole(join(folder, 'config.json'), sortedJson(denseConfig(config, asked)));
    return { folder, modules: compressed.size, bytes: output.tensorBytes, dropped };
  } finally {
    await source.close();
  }
}

type Json = Record<string, unknown>;

async function readConfig(folder: string): Promise<Json> {
  const file = join(folder, 'config.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined)
    throw new TensorpressError('MODEL', `${folder} holds no config.json`, { hint: 'give the folder of a checkpoint' });
  const config = parseJsonStrict(text, { file });
  if (config === null || typeof config !== 'object' || Array.isArray(config)) {
    throw new TensorpressError('MODEL', 'config.json is not an object', { place: { file } });
  }
  return config as Json;
}

function quantizationOf(config: Json, folder: string): Json {
  const file = join(folder, 'config.json');
  const quantization = (config['quantization_config'] ?? config['compression_config']) as Json | undefined;
  if (quantization === undefined) {
    throw new TensorpressError('MODEL', `${folder} is not quantized: its config.json has no quantization_config`, {
      place: { file },
    });
  }
  if (quantization['quant_method'] !== 'compressed-tensors') {
    throw new TensorpressError('MODEL', `${String(quantization['quant_method'])} checkpoints cannot be read`, {
      place: { file },
      hint: 'convert reads checkpoints of compressed-tensors',
    });
  }
  return quantization;
}

/** Every module with codes, its scheme found by the same matching as readers do. */
async function compressedModules(
  source: Source,
  config: Json,
  quantization: Json,
  asked: ModelDType | undefined,
): Promise<Map<string, Compressed>> {
  const schemes = readGroups(quantization);
  const targets = [...schemes.keys()].map(compilePattern);
  const found = new Map<string, Compressed>();
  const fallback =
    DTYPES[String(config['dtype'] ?? config['torch_dtype'] ?? 'bfloat16').replace(/^torch\./, '')] ?? 'BF16';
  for (const name of source.tensors.keys()) {
    const module = /^(.*)\.(?:weight_packed|weight_scale)$/.exec(name)?.[1];
    if (module === undefined || found.has(module)) continue;
    const [target] = prioritize(targets, { name: module, classes: [inferClass(module), 'Module'] });
    const scheme = target === undefined ? undefined : schemes.get(target);
    if (!scheme?.weights) {
      throw new TensorpressError('MODEL', `${module} is compressed, but no group of quantization_config matches it`, {
        place: { module },
      });
    }
    const format = weightFormat(inferFormat(scheme));
    const stored = await openWeight(source, module, format, { args: scheme.weights, dtype: fallback });
    found.set(module, { module, format, stored, dtype: asked ?? stored.spec.dtype });
  }
  return found;
}

/** Target -> scheme of every group. */
function readGroups(quantization: Json): Map<string, QuantizationScheme> {
  const schemes = new Map<string, QuantizationScheme>();
  for (const [name, group] of Object.entries((quantization['config_groups'] ?? {}) as Record<string, Json>)) {
    const result = normalizeScheme(group);
    if (result.problems !== undefined) {
      throw new TensorpressError('MODEL', `quantization_config.config_groups.${name}: ${result.problems[0]!.message}`);
    }
    for (const target of result.scheme.targets) schemes.set(target, result.scheme);
  }
  return schemes;
}

async function* decompressed(
  source: Source,
  { format, stored, dtype }: Compressed,
): AsyncGenerator<{ offset: number; bytes: Uint8Array }> {
  const { spec, parameters, codes: tensor } = stored;
  const { rows, columns, args } = spec;
  const grid = weightGrid(args, rows, columns);
  const step = Math.max(1, Math.floor(CHUNK_ELEMENTS / columns));
  for (let from = 0; from < rows; from += step) {
    const codes = format.decompress(await source.read(tensor, { from, to: Math.min(rows, from + step) }), spec);
    const w = dequantize(codes, from, grid, parameters, args, parameters.groupIndex);
    yield { offset: from * columns * DTYPE_BYTES[dtype], bytes: narrow(w, dtype) };
  }
}

function planTensors(
  source: Source,
  compressed: ReadonlyMap<string, Compressed>,
  asked: ModelDType | undefined,
  quantization: Json,
) {
  const tensors: StoredTensor[] = [];
  let activation = 0;
  const owned = new Set<string>();
  for (const { module, format, stored, dtype } of compressed.values()) {
    // some writers store zero points although the scheme is symmetric
    for (const suffix of [format.codes, ...format.parameters, 'weight_zero_point']) owned.add(`${module}.${suffix}`);
    tensors.push({ name: `${module}.weight`, dtype, shape: [stored.spec.rows, stored.spec.columns], module });
  }
  for (const { name, dtype, shape } of source.tensors.values()) {
    if (owned.has(name)) continue;
    if (ACTIVATION.test(name)) {
      activation++;
      continue;
    }
    const floating = dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
    tensors.push({ name, dtype: floating && asked !== undefined ? asked : dtype, shape });
  }
  return { tensors, dropped: droppedLines(quantization, activation) };
}

function droppedLines(quantization: Json, activationTensors: number): string[] {
  const lines: string[] = [];
  const groups = Object.values((quantization['config_groups'] ?? {}) as Record<string, Json>);
  if (groups.some(group => group['input_activations'] || group['output_activations']))
    lines.push('activation schemes are dropped: a dense checkpoint computes with full activations');
  if (quantization['kv_cache_scheme'])
    lines.push('kv_cache_scheme is dropped: the cache of a dense checkpoint is not quantized');
  if (activationTensors > 0) lines.push(`${activationTensors} scales of activations or caches are dropped`);
  const transforms = Object.values(
    ((quantization['transform_config'] as Json | undefined)?.['config_groups'] ?? {}) as Record<
      string,
      { apply?: { location?: string }[] }
    >,
  );
  if (transforms.some(({ apply = [] }) => apply.some(({ location }) => ONLINE.has(location ?? '')))) {
    throw new TensorpressError(
      'NOT_BUILT',
      'this checkpoint rotates activations while it runs (transform_config); folding such rotations back is not carried out yet',
    );
  }
  return lines;
}

function denseConfig(config: Json, asked: ModelDType | undefined): Json {
  const dense = { ...config };
  delete dense['quantization_config'];
  delete dense['compression_config'];
  if (asked !== undefined)
    dense['torch_dtype' in dense && !('dtype' in dense) ? 'torch_dtype' : 'dtype'] = DTYPE_NAMES[asked];
  return dense;
}
