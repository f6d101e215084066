import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TensorpressError } from '../errors.js';
import { openSafetensors } from '../formats/safetensors/source.js';
import type { TensorInfo } from '../formats/source.js';
import { isRecord } from '../schemes/problem.js';

export interface Inspection {
  readonly path: string;
  readonly kind: 'safetensors' | 'checkpoint' | 'run';
  readonly tensors: readonly Pick<TensorInfo, 'name' | 'dtype' | 'shape' | 'bytes' | 'file'>[];
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** Bytes of all tensors. */
  readonly bytes: number;
  readonly parameters: number;
  readonly architecture?: string;
  readonly quantization?: { readonly method: string; readonly format: string; readonly groups: number };
  /** Of a run folder: what made it. */
  readonly run?: { readonly tensorpress: string; readonly recipe: string; readonly date: string };
}

/** What a file or folder holds, from its headers alone. */
export async function inspect(path: string): Promise<Inspection> {
  const full = resolve(path);
  const found = await stat(full).catch(() => undefined);
  if (found === undefined) throw new TensorpressError('ARGUMENT', `there is no ${path}`);
  if (path.endsWith('.gguf')) throw new TensorpressError('NOT_BUILT', 'reading GGUF files is not carried out yet');
  const source = await openSafetensors(full);
  try {
    const tensors = [...source.tensors.values()].map(({ name, dtype, shape, bytes, file }) => ({
      name,
      dtype,
      shape,
      bytes,
      file,
    }));
    const config = found.isDirectory() ? await json(join(full, 'config.json')) : undefined;
    const run = found.isDirectory() ? await json(join(full, 'run.json')) : undefined;
    const architectures: unknown = config?.['architectures'];
    const architecture: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
    const quantization = config?.['quantization_config'];
    return {
      path,
      kind: run ? 'run' : found.isDirectory() ? 'checkpoint' : 'safetensors',
      tensors,
      files: source.files.map(({ path: file, bytes }) => ({ path: file, bytes })),
      bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
      parameters: tensors.reduce((sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1), 0),
      ...(typeof architecture === 'string' && { architecture }),
      ...(isRecord(quantization) && {
        quantization: {
          method: String(quantization['quant_method']),
          format: String(quantization['format']),
          groups: Object.keys(quantization['config_groups'] ?? {}).length,
        },
      }),
      ...(run !== undefined && {
        run: { tensorpress: String(run['tensorpress']), recipe: String(run['recipe']), date: String(run['date']) },
      }),
    };
  } finally {
    await source.close();
  }
}

/** A JSON object, undefined when it is missing or something else: an inspection shows what it can. */
async function json(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
