import { gemma } from './architectures/gemma.js';
import { gemma2 } from './architectures/gemma2.js';
import { gemma3 } from './architectures/gemma3.js';
import { granite } from './architectures/granite.js';
import { llama } from './architectures/llama.js';
import { mistral } from './architectures/mistral.js';
import { mixtral } from './architectures/mixtral.js';
import { phi3 } from './architectures/phi3.js';
import { qwen2 } from './architectures/qwen2.js';
import { qwen3 } from './architectures/qwen3.js';
import { qwen3Moe } from './architectures/qwen3-moe.js';
import { smollm3 } from './architectures/smollm3.js';
import type { Decoder } from './graph.js';
import type { Settings } from './settings.js';
import type { Node } from './tree.js';

/** What a module table is made from. */
export interface Dimensions {
  readonly layers: number;
  /** Of one layer; 0 for families without. */
  readonly experts: number;
  /** The decoder's part of config.json. */
  readonly text: Readonly<Record<string, unknown>>;
}

/** What is known of a family of models without looking at its tensors. */
export interface Architecture {
  /** Whether the head reads the embedding's tensor where config.json does not say (`tie_word_embeddings`). */
  readonly tied: boolean;
  /** Experts of a layer where config.json does not say. */
  readonly experts?: number;
  /** Every module that transformers makes for this config, under the names of the checkpoint's tensors. */
  tree(dimensions: Dimensions): Node;
  /**
   * What it computes.
   * @throws TensorpressError MODEL naming the field of config.json or the tensor that is missing or does not fit
   */
  graph(settings: Settings): Decoder;
}

/** By the first entry of `architectures` in config.json. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map([
  ['GemmaForCausalLM', gemma],
  ['Gemma2ForCausalLM', gemma2],
  ['Gemma3ForCausalLM', gemma3],
  ['GraniteForCausalLM', granite],
  ['LlamaForCausalLM', llama],
  ['MistralForCausalLM', mistral],
  ['MixtralForCausalLM', mixtral],
  ['Phi3ForCausalLM', phi3],
  ['Qwen2ForCausalLM', qwen2],
  ['Qwen3ForCausalLM', qwen3],
  ['Qwen3MoeForCausalLM', qwen3Moe],
  ['SmolLM3ForCausalLM', smollm3],
]);
