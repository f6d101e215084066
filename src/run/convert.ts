import { readFile, realpath, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import { diskError, readError, writeWhole } from '../formats/files.js';
import { MAX_SHARD } from '../outputs/checkpoint.js';
import { denseConfig } from '../outputs/config-json.js';
import { safetensorsFolder } from '../outputs/safetensors-folder.js';
import { DTYPES } from '../runtime/model/config.js';
import { loadModel } from '../runtime/model/load.js';
import type { Model } from '../runtime/model/model.js';
import { isRecord } from '../schemes/problem.js';
import { compressedModules, FOLDED, quantizationOf, transformEntries } from './compressed.js';
import { denseTensors, type Dense } from './dense.js';
import { claimFolder, clearOld, journalPath, standing } from './files.js';
import { lockFolder, newLock, releaseLock } from './lock.js';
import { checkSpace } from './space.js';

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

/**
 * Decompresses a checkpoint: w = (q - z) s in float32, rounded once to the dtype that is asked for. Files get their names when all tensors
 * are written, config.json comes last; what fails or is stopped before leaves nothing.
 * @throws TensorpressError MODEL, TENSOR, DISK; INTERRUPTED when `signal` says so
 */
export async function convert({ signal, force = false, ...options }: ConvertOptions): Promise<Converted> {
  const folder = resolve(options.out);
  const lock = newLock(folder);
  await refuseFolder(folder, resolve(options.model), force);
  const model = await loadModel(options.model);
  try {
    const quantization = quantizationOf(model);
    refuseOnline(model, quantization);
    const asked = options.dtype && DTYPES[options.dtype];
    const compressed = await compressedModules(model, quantization);
    const { tensors, activations } = denseTensors(model, compressed, asked);
    const output = safetensorsFolder(tensors, folder, MAX_SHARD);
    await lockFolder(lock);
    try {
      await write(model, output, tensors, denseConfig(model, options.dtype), signal);
    } finally {
      releaseLock(lock);
    }
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
  const state = await claimFolder(folder, force);
  if (force || state !== 'unfinished') return;
  throw new TensorpressError('FINISHED', `${folder} holds an unfinished run`, {
    hint: 'choose another folder with --out, or replace what is there with --force',
  });
}

/** Fills the files under other names; what the folder held goes when they are complete. */
async function write(
  { folder: from, companions }: Model,
  output: ReturnType<typeof safetensorsFolder>,
  tensors: readonly Dense[],
  config: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { folder } = output;
  const files = [...output.files.map(({ name }) => name), ...companions, 'config.json'];
  const old = await standing(folder, { files, keep: [] });
  await checkSpace(folder, output.tensorBytes, []);
  try {
    await output.open(new Set());
    for (const { name, chunks } of tensors) {
      for await (const { offset, bytes } of chunks()) {
        signal?.throwIfAborted();
        await output.write(name, offset, bytes);
      }
    }
  } catch (error) {
    await output.discard().catch(() => output.close()); // the first error says more
    if (!signal?.aborted) throw error;
    throw new TensorpressError('INTERRUPTED', 'stopped; nothing was written', { hint: 'run the same command again' });
  }
  try {
    await clearOld(folder, [...old, ...old.filter(path => !files.includes(path)).map(path => `${path}.partial`)]);
    await rm(journalPath(folder), { force: true }).catch((error: unknown) => Promise.reject(diskError(error, folder)));
    await output.finish();
  } finally {
    await output.close();
  }
  for (const name of companions) {
    const path = join(from, name);
    const data = await readFile(path).catch((error: unknown) => Promise.reject(readError(error, path)));
    await writeWhole(join(folder, name), data);
  }
  await writeWhole(join(folder, 'config.json'), config);
}

/** Rotations of activations are a part of the model until they are folded into weights; those of weights are folded already. */
function refuseOnline(model: Model, quantization: Readonly<Record<string, unknown>>): void {
  if (transformEntries(model, quantization).every(({ location }) => FOLDED.includes(location))) return;
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
