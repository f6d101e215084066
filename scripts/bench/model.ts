import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { layoutFile } from '../../src/formats/safetensors/layout.js';
import { planShards } from '../../src/formats/safetensors/shards.js';
import { openForWriting } from '../../src/formats/safetensors/writer.js';
import { narrow } from '../../src/numerics/dtypes.js';

/** What a Llama is made of; the embedding is the head, too. */
export interface LlamaShape {
  readonly layers: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
}

/** Llama-3.2-1B: 2.47 GB in bfloat16. */
export const LLAMA_1B: LlamaShape = {
  layers: 16,
  hidden: 2048,
  intermediate: 8192,
  heads: 32,
  kvHeads: 8,
  headDim: 64,
  vocabulary: 128256,
};

/** The same with another number of layers and a smaller vocabulary: 2.1 GB for 16 layers, 0.13 GB for each. */
export const withLayers = (layers: number, vocabulary = 16384): LlamaShape => ({ ...LLAMA_1B, layers, vocabulary });

interface Tensor {
  readonly name: string;
  readonly dtype: 'BF16';
  readonly shape: readonly number[];
}

function tensorsOf({ layers, hidden, intermediate, heads, kvHeads, headDim, vocabulary }: LlamaShape): Tensor[] {
  const tensor = (name: string, ...shape: number[]): Tensor => ({ name: `model.${name}.weight`, dtype: 'BF16', shape });
  const layer = (i: number): Tensor[] => [
    tensor(`layers.${i}.input_layernorm`, hidden),
    tensor(`layers.${i}.self_attn.q_proj`, heads * headDim, hidden),
    tensor(`layers.${i}.self_attn.k_proj`, kvHeads * headDim, hidden),
    tensor(`layers.${i}.self_attn.v_proj`, kvHeads * headDim, hidden),
    tensor(`layers.${i}.self_attn.o_proj`, hidden, heads * headDim),
    tensor(`layers.${i}.post_attention_layernorm`, hidden),
    tensor(`layers.${i}.mlp.gate_proj`, intermediate, hidden),
    tensor(`layers.${i}.mlp.up_proj`, intermediate, hidden),
    tensor(`layers.${i}.mlp.down_proj`, hidden, intermediate),
  ];
  return [
    tensor('embed_tokens', vocabulary, hidden),
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
    tensor('norm', hidden),
  ];
}

/** Bytes of all tensors of such a model in bfloat16. */
export function bytesOf(shape: LlamaShape): number {
  return tensorsOf(shape).reduce((sum, tensor) => sum + 2 * elements(tensor), 0);
}

const elements = ({ shape }: Tensor): number => shape.reduce((product, size) => product * size, 1);

const BLOCK = 1 << 22;

/**
 * Writes a model of that shape: config.json and random normal bfloat16 weights of standard deviation 0.02, the same for the same seed.
 * @param options.shardSize bytes per file
 */
export async function writeModel(
  folder: string,
  shape: LlamaShape,
  { shardSize = Infinity, seed = 1 }: { shardSize?: number; seed?: number } = {},
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { files, index } = planShards(tensorsOf(shape), shardSize);
  const fill = normals(seed);
  const block = new Uint16Array(BLOCK);
  for (const { name: file, tensors } of files) {
    const writer = await openForWriting(join(folder, file), layoutFile(tensors));
    for (const { name, shape } of tensors as readonly Tensor[]) {
      const count = elements({ name, dtype: 'BF16', shape });
      for (let at = 0; at < count; at += BLOCK) {
        const part = block.subarray(0, Math.min(BLOCK, count - at));
        fill(part);
        await writer.write(name, at * 2, new Uint8Array(part.buffer, 0, part.byteLength));
      }
    }
    await writer.finish();
  }
  if (index !== null) await writeFile(join(folder, 'model.safetensors.index.json'), index);
  await writeFile(join(folder, 'config.json'), JSON.stringify(configOf(shape), null, 2));
}

function configOf({ layers, hidden, intermediate, heads, kvHeads, headDim, vocabulary }: LlamaShape): object {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    torch_dtype: 'bfloat16',
    num_hidden_layers: layers,
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
    vocab_size: vocabulary,
    hidden_act: 'silu',
    rms_norm_eps: 1e-5,
    rope_theta: 500000,
    max_position_embeddings: 131072,
    tie_word_embeddings: true,
  };
}

/** Fills arrays with bfloat16 bits drawn from a table of normal values: a billion of them in seconds. */
export function normals(seed: number): (out: Uint16Array) => void {
  let state = seed | 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
  const uniform = (): number => ((next() >>> 0) + 0.5) / 2 ** 32;
  const values = Float32Array.from(
    { length: 1 << 16 },
    () => 0.02 * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
  const bytes = narrow(values, 'BF16');
  const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, values.length);
  return out => {
    for (let i = 0; i < out.length; i += 2) {
      const draw = next();
      out[i] = bits[draw & 0xffff]!;
      out[i + 1] = bits[draw >>> 16]!;
    }
  };
}
