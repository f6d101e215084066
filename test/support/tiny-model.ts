import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { narrow, roundArray, type DType, type ModelDType } from '../../src/numerics/dtypes.js';
import { safetensorsFolder } from '../../src/outputs/safetensors-folder.js';
import { llamaConfig, llamaTensors } from '../../src/run/testing/model.js';
import { normal } from './numbers.js';
import { tempFolder } from './temp.js';

/** A tensor as bytes, or as numbers that are rounded to its dtype. */
export interface TinyTensor {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly bytes: Uint8Array;
}

export interface TinyModel {
  readonly config: Record<string, unknown>;
  readonly tensors: Record<string, TinyTensor>;
}

export interface TinyLlama {
  /** Default: 64, 96, 2, 80. */
  readonly hidden?: number;
  readonly intermediate?: number;
  readonly layers?: number;
  readonly vocabulary?: number;
  /** Default: BF16. */
  readonly dtype?: ModelDType;
  /** `absent`: no head in the file and the flag set; `equal`, `different`: the flag set and both in the file. Default: untied. */
  readonly tied?: 'absent' | 'equal' | 'different';
  /** Default: 0.05. */
  readonly sigma?: number;
}

export function matrix(shape: readonly number[], values: Float32Array, dtype: ModelDType = 'BF16'): TinyTensor {
  return { shape, dtype, bytes: narrow(roundArray(values, dtype), dtype) };
}

export function random(shape: readonly number[], seed: number, dtype: ModelDType = 'BF16', sigma = 0.05): TinyTensor {
  return matrix(
    shape,
    normal(
      shape.reduce((a, b) => a * b, 1),
      seed,
      sigma,
    ),
    dtype,
  );
}

/** A Llama of random weights; equal options, equal model. */
export function tinyLlama({
  hidden = 64,
  intermediate = 96,
  layers = 2,
  vocabulary = 80,
  dtype = 'BF16',
  tied,
  sigma = 0.05,
}: TinyLlama = {}): TinyModel {
  const sizes = { hidden, intermediate, layers, vocabulary };
  const named = [...llamaTensors({ ...sizes, tied: tied === 'absent' || tied === 'equal' })];
  const tensors = Object.fromEntries(named.map(([name, shape], i) => [name, random(shape, i + 1, dtype, sigma)]));
  if (tied === 'equal') tensors['lm_head.weight'] = tensors['model.embed_tokens.weight']!;
  return { config: llamaConfig({ ...sizes, tied: tied !== undefined }, dtype), tensors };
}

/** A Mixtral of random weights: two layers of four experts, of which a token takes two. */
export function tinyMixtral({ hidden = 16, intermediate = 24, sigma = 0.3 }: TinyLlama = {}): TinyModel {
  const { config, tensors } = tinyLlama({ hidden, intermediate, vocabulary: 32, dtype: 'F32', sigma });
  const all = { ...without(tensors, /mlp/) };
  let seed = 100;
  for (let i = 0; i < 2; i++) {
    const at = `model.layers.${i}.block_sparse_moe`;
    all[`${at}.gate.weight`] = random([4, hidden], seed++, 'F32', sigma);
    for (let e = 0; e < 4; e++) {
      all[`${at}.experts.${e}.w1.weight`] = random([intermediate, hidden], seed++, 'F32', sigma);
      all[`${at}.experts.${e}.w2.weight`] = random([hidden, intermediate], seed++, 'F32', sigma);
      all[`${at}.experts.${e}.w3.weight`] = random([intermediate, hidden], seed++, 'F32', sigma);
    }
  }
  const own = { architectures: ['MixtralForCausalLM'], model_type: 'mixtral', num_local_experts: 4 };
  return { config: { ...config, ...own, num_experts_per_tok: 2 }, tensors: all };
}

/** Tensors but those that the pattern finds. */
export function without(tensors: TinyModel['tensors'], pattern: RegExp): TinyModel['tensors'] {
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => !pattern.test(name)));
}

/** Writes a model as a folder in Hugging Face format and gives its path. */
export async function writeModel(
  { config, tensors }: TinyModel,
  { maxShardSize = Infinity, files = {} }: { maxShardSize?: number; files?: Record<string, string> } = {},
): Promise<string> {
  const folder = join(tempFolder(), 'tiny');
  mkdirSync(folder);
  const list = Object.entries(tensors).map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
  const output = safetensorsFolder(list, folder, maxShardSize);
  await output.open(new Set());
  for (const [name, { bytes }] of Object.entries(tensors)) await output.write(name, 0, bytes);
  await output.finish();
  for (const [name, text] of Object.entries({ 'config.json': JSON.stringify(config, null, 2), ...files }))
    writeFileSync(join(folder, name), text);
  return folder;
}

/** A recipe file with one QuantizationModifier per argument, options in YAML flow style. */
export function writeRecipe(...options: readonly string[]): string {
  const path = join(tempFolder(), 'recipe.yaml');
  const items = options.map(option => `  - QuantizationModifier: ${option}\n`).join('');
  writeFileSync(path, `version: 1\nmodifiers:\n${items}`);
  return path;
}
