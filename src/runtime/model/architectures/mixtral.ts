import type { Architecture } from '../architecture.js';
import { activation, decoder, experts, linear, module, weighted } from '../tree.js';

/**
 * Mixtral: Mistral whose MLP is a mixture; an expert is w2 (act(w1 x) * w3 x). Checkpoints call the mixture `block_sparse_moe`, and the
 * matrices of an expert come in llm-compressor's order: up, gate, down.
 */
export const mixtral: Architecture = {
  tied: false,
  experts: 8,
  tree: ({ layers, experts: count, text }) =>
    decoder('Mixtral', layers, () => ({
      self_attn: module('MixtralAttention', { q_proj: linear(), k_proj: linear(), v_proj: linear(), o_proj: linear() }),
      block_sparse_moe: module('MixtralSparseMoeBlock', {
        gate: weighted('MixtralTopKRouter'),
        experts: experts(count, { w3: linear(), w1: linear(), w2: linear() }, activation(text['hidden_act'], 'silu')),
      }),
      input_layernorm: weighted('MixtralRMSNorm'),
      post_attention_layernorm: weighted('MixtralRMSNorm'),
    })),
};
