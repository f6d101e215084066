import type { Source, TensorInfo } from '../../formats/source.js';
import { DTYPE_BYTES, narrow, type ModelDType } from '../../numerics/dtypes.js';
import { random, type Random } from '../../numerics/random.js';
import { buildModel } from '../../runtime/model/build.js';
import { dtypeName, readConfig } from '../../runtime/model/config.js';
import type { Model } from '../../runtime/model/model.js';

export interface TinyModelOptions {
  /** Default: 32. */
  readonly hidden?: number;
  /** Default: 48. */
  readonly intermediate?: number;
  /** Default: 2. */
  readonly layers?: number;
  /** Default: 64. */
  readonly vocabulary?: number;
  /** Default: F32. */
  readonly dtype?: ModelDType;
  /** Whether the head reads the embedding's weight. Default: false. */
  readonly tied?: boolean;
  /** Values of tensors by name, in place of random ones. */
  readonly weights?: Readonly<Record<string, ArrayLike<number>>>;
  /** Of the random numbers: equal options make equal models. Default: 0. */
  readonly seed?: number;
}

type Sizes = Required<Pick<TinyModelOptions, 'hidden' | 'intermediate' | 'layers' | 'vocabulary' | 'tied'>>;

/** Names and shapes of the tensors of a Llama, in the order of its parts. */
export function* llamaTensors(sizes: Sizes): Generator<[name: string, shape: number[]]> {
  const { hidden, intermediate, layers, vocabulary, tied } = sizes;
  yield ['model.embed_tokens.weight', [vocabulary, hidden]];
  for (let i = 0; i < layers; i++) {
    const at = `model.layers.${i}`;
    yield [`${at}.self_attn.q_proj.weight`, [hidden, hidden]];
    yield [`${at}.self_attn.k_proj.weight`, [hidden / 2, hidden]];
    yield [`${at}.self_attn.v_proj.weight`, [hidden / 2, hidden]];
    yield [`${at}.self_attn.o_proj.weight`, [hidden, hidden]];
    yield [`${at}.mlp.gate_proj.weight`, [intermediate, hidden]];
    yield [`${at}.mlp.up_proj.weight`, [intermediate, hidden]];
    yield [`${at}.mlp.down_proj.weight`, [hidden, intermediate]];
    yield [`${at}.input_layernorm.weight`, [hidden]];
    yield [`${at}.post_attention_layernorm.weight`, [hidden]];
  }
  yield ['model.norm.weight', [hidden]];
  if (!tied) yield ['lm_head.weight', [vocabulary, hidden]];
}

/** Its config.json: four heads, of which two share a key and a value. */
export function llamaConfig({ hidden, intermediate, layers, vocabulary, tied }: Sizes, dtype: ModelDType) {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: vocabulary,
    torch_dtype: dtypeName(dtype),
    tie_word_embeddings: tied,
  };
}

/** A Llama of random weights, in memory: an embedding, a few layers, a head. */
export function tinyModel({
  hidden = 32,
  intermediate = 48,
  layers = 2,
  vocabulary = 64,
  dtype = 'F32',
  tied = false,
  weights = {},
  seed = 0,
}: TinyModelOptions = {}): Promise<Model> {
  const sizes = { hidden, intermediate, layers, vocabulary, tied };
  const config = { ...llamaConfig(sizes, dtype), rms_norm_eps: 1e-5 };
  const tensors = new Map<string, { info: TensorInfo; bytes: Uint8Array }>();
  for (const [name, shape] of llamaTensors(sizes)) {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from(weights[name] ?? normal(count, random(seed, name)));
    if (values.length !== count) throw new RangeError(`${name} has ${count} numbers, not ${values.length}`);
    const info = { name, dtype, shape, bytes: count * DTYPE_BYTES[dtype], file: 'memory' };
    tensors.set(name, { info, bytes: narrow(values, dtype) });
  }
  const source: Source = {
    tensors: new Map([...tensors].map(([name, { info }]) => [name, info])),
    files: [],
    read(name, rows, memory) {
      const { info, bytes } = tensors.get(name)!;
      const rowBytes = info.bytes / info.shape[0]!;
      const found = rows === undefined ? bytes : bytes.subarray(rows.from * rowBytes, rows.to * rowBytes);
      const into = memory?.(found.length) ?? new Uint8Array(found.length);
      into.set(found);
      return Promise.resolve(into);
    },
    close: () => Promise.resolve(),
  };
  return buildModel({
    folder: 'memory',
    name: 'tiny',
    config: readConfig(JSON.stringify(config)),
    source,
    companions: [],
  });
}

/** Normally distributed numbers of standard deviation 0.1 (Box and Muller 1958). */
function normal(count: number, numbers: Random): Float32Array {
  return Float32Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - numbers.float64()));
    return 0.1 * radius * Math.cos(2 * Math.PI * numbers.float64());
  });
}
