import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { narrow } from '../../src/numerics/dtypes.js';
import { safetensorsFolder } from '../../src/outputs/safetensors-folder.js';
import { goldenJson, goldenList } from './golden.js';

/** A float32 tensor by formula: element i is fround(offset + scale * uniform(name)[i]). */
export interface FormulaTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly rule: { readonly offset: number; readonly scale: number };
  /** Of its bytes, as the reference made them. */
  readonly sha256: string;
}

/** A small model and what transformers computes for it. */
export interface ReferenceCase {
  readonly name: string;
  readonly architecture: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: readonly FormulaTensor[];
  /** Token ids, each from position 0. */
  readonly prompts: readonly (readonly number[])[];
  /** [tokens, vocabulary] per prompt in float64, rotary embedding and softmax included; those in float32 lie within 1e-4 of the largest. */
  readonly logits64: readonly Float64Array[];
  /** Largest change of float32 logits when every weight changes by a relative 1e-6 in a random direction. */
  readonly perturbation: number;
  /** Writes config.json and model.safetensors (float32) into a new or empty folder. */
  write(folder: string): Promise<void>;
}

type Stored = Omit<ReferenceCase, 'name' | 'logits64' | 'write'> & { readonly logits64: readonly string[] };

const FOLDER = 'model/architectures';

/** Multiples of 2^-24 in [-0.5, 0.5): murmur3's finalizer of FNV-1a(name) + i * 0x9E3779B9. */
export function uniform(name: string, length: number): Float64Array {
  let seed = 0x811c9dc5;
  for (const byte of Buffer.from(name)) seed = Math.imul(seed ^ byte, 0x01000193);
  const values = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    let h = (seed + Math.imul(i, 0x9e3779b9)) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
    values[i] = (h >>> 8) / 2 ** 24 - 0.5;
  }
  return values;
}

/** The values of a tensor, row-major. */
export function formulaValues({ name, shape, rule: { offset, scale } }: Omit<FormulaTensor, 'sha256'>): Float32Array {
  const length = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from(uniform(name, length), u => offset + scale * u);
}

/** Every case below the golden root, by name; empty when the group is absent. */
export function referenceCases(): ReferenceCase[] {
  return goldenList(FOLDER).map(file => {
    const { logits64, ...stored } = goldenJson<Stored>(`${FOLDER}/${file}`)!;
    return {
      name: file.replace(/\.json$/, ''),
      ...stored,
      logits64: logits64.map(text => new Float64Array(bytes(text))),
      write: folder => writeCheckpoint(stored, folder),
    };
  });
}

async function writeCheckpoint({ config, tensors }: Pick<Stored, 'config' | 'tensors'>, folder: string): Promise<void> {
  const list = tensors.map(({ name, shape }) => ({ name, shape, dtype: 'F32' as const }));
  const output = safetensorsFolder(list, folder, Infinity);
  await output.open(new Set());
  for (const tensor of tensors) await output.write(tensor.name, 0, narrow(formulaValues(tensor), 'F32'));
  await output.finish();
  await writeFile(join(folder, 'config.json'), JSON.stringify(config, null, 2));
}

function bytes(base64: string): ArrayBuffer {
  return new Uint8Array(Buffer.from(base64, 'base64')).buffer;
}
