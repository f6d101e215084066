import { TensorpressError } from '../../errors.js';
import { parseJsonStrict } from '../../formats/jsonText.js';
import { printable } from '../../formats/printable.js';
import { isCount, isRecord } from '../../formats/records.js';
import type { ModelDType } from '../../numerics/dtypes.js';

type Json = Readonly<Record<string, unknown>>;

/** What config.json says, in one spelling. */
export interface ModelConfig {
  /** The file as it is. */
  readonly raw: Json;
  /** Its text. */
  readonly json: string;
  /** The decoder's part of it: `text_config` of a model with more than text, else all of it. */
  readonly text: Json;
  /** `architectures[0]`, else what transformers would call a causal model of this `model_type`. */
  readonly architecture: string;
  readonly layers: number | undefined;
  /** Experts of a layer. */
  readonly experts: number | undefined;
  /** `tie_word_embeddings`, undefined where the file does not say. */
  readonly tied: boolean | undefined;
  /** `dtype` or `torch_dtype`, undefined unless it is one that weights can be quantized from. */
  readonly dtype: ModelDType | undefined;
  /** `quantization_config` (once `compression_config`), undefined for a model that is not quantized. */
  readonly quantization: Json | undefined;
}

/** Where a config.json describes quantized weights; the second is what early versions of compressed-tensors wrote. */
export const QUANTIZATION_KEYS = ['quantization_config', 'compression_config'];

/** A thousand times the size of a large one. */
export const MAX_CONFIG_BYTES = 16_000_000;

const NAME = /^\w[\w.-]{0,199}$/;
/** The dtypes of a model, by the names that config.json has for them. */
export const DTYPES = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' } as const;

/** `bfloat16` for BF16. */
export function dtypeName(dtype: ModelDType): string {
  return Object.entries(DTYPES).find(([, known]) => known === dtype)![0];
}

/**
 * Reads config.json in the spelling of transformers 5 or of earlier versions.
 * @throws TensorpressError MODEL when it is no JSON object, names no architecture, or holds something else where numbers and flags are expected
 */
export function readConfig(text: string | Uint8Array, file = 'config.json'): ModelConfig {
  const raw = parseJsonStrict(text, { file, what: 'config.json', maxBytes: MAX_CONFIG_BYTES, python: true });
  if (!isRecord(raw)) throw wrong(file, 'config.json', raw, 'an object');
  const decoder = entry(raw, 'text_config', file, isRecord, 'an object') ?? raw;

  /** The first of the keys that has a value, in the decoder's part or at the top. */
  const find = <T>(keys: readonly string[], is: (value: unknown) => value is T, expected: string): T | undefined => {
    for (const place of [decoder, raw]) {
      for (const key of keys) {
        const value = entry(place, key, file, is, expected);
        if (value !== undefined) return value;
      }
    }
    return undefined;
  };
  const count = (...keys: string[]) => find(keys, isCount, 'a whole number, 0 or more');

  const dtype = find(['dtype', 'torch_dtype'], isString, 'a string');
  return {
    raw,
    json: typeof text === 'string' ? text : new TextDecoder().decode(text),
    text: decoder,
    architecture: architectureName(raw, decoder, file),
    layers: count('num_hidden_layers', 'num_layers', 'n_layer', 'n_layers'),
    experts: count('num_experts', 'num_local_experts', 'n_routed_experts'),
    tied:
      entry(raw, 'tie_word_embeddings', file, isBoolean, 'true or false') ??
      entry(decoder, 'tie_word_embeddings', file, isBoolean, 'true or false'),
    dtype:
      dtype === undefined ? undefined : (DTYPES as Readonly<Record<string, ModelDType>>)[dtype.replace(/^torch\./, '')],
    quantization: find(QUANTIZATION_KEYS, isRecord, 'an object'),
  };
}

function architectureName(raw: Json, decoder: Json, file: string): string {
  for (const place of [raw, decoder]) {
    const first = entry(place, 'architectures', file, Array.isArray, 'a list')?.[0] as unknown;
    if (isString(first) && NAME.test(first)) return first;
    if (first !== undefined) throw wrong(file, 'architectures[0]', first, 'the name of a class');
  }
  const type = entry(decoder, 'model_type', file, isString, 'a string') ?? '';
  if (!NAME.test(type)) {
    throw new TensorpressError('MODEL', 'config.json names no architecture', {
      place: { file },
      hint: 'add "architectures": ["..."], the model\'s class in transformers, such as LlamaForCausalLM',
    });
  }
  return causalModelOf(type);
}

/** Types whose class is not their name in camel case. */
const SPELLED: Readonly<Record<string, string>> = { gemma3_text: 'Gemma3', smollm3: 'SmolLM3' };

/** The class that transformers makes for a causal model of this `model_type`: `qwen3_moe` -> Qwen3MoeForCausalLM. */
export function causalModelOf(type: string): string {
  const camel = type.replace(/(?:^|[_-]+)(.?)/g, (_, letter: string) => letter.toUpperCase());
  return `${Object.hasOwn(SPELLED, type) ? SPELLED[type]! : camel}ForCausalLM`;
}

/** A key's value, undefined where it is absent or null. */
function entry<T>(
  place: Json,
  key: string,
  file: string,
  is: (value: unknown) => value is T,
  expected: string,
): T | undefined {
  const value = Object.hasOwn(place, key) ? place[key] : undefined;
  if (value === undefined || value === null) return undefined;
  if (!is(value)) throw wrong(file, key, value, expected);
  return value;
}

function wrong(file: string, key: string, value: unknown, expected: string): TensorpressError {
  const shown = JSON.stringify(value) as string | undefined;
  return new TensorpressError('MODEL', `${key} is ${printable(shown ?? 'missing', 60)}, expected ${expected}`, {
    place: { file },
    hint: 'this file does not look like a Hugging Face config.json; compare it with the original model',
  });
}

const isString = (value: unknown): value is string => typeof value === 'string';
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
