import type { Architecture } from '../architecture.js';
import { activation, decoder, linear, module, weighted } from '../tree.js';

/** Mistral 7B and its successors without experts: Llama without any biases. */
export const mistral: Architecture = {
  tied: false,
  tree: ({ layers, text }) =>
    decoder('Mistral', layers, () => ({
      self_attn: module('MistralAttention', { q_proj: linear(), k_proj: linear(), v_proj: linear(), o_proj: linear() }),
      mlp: module('MistralMLP', {
        gate_proj: linear(),
        up_proj: linear(),
        down_proj: linear(),
        act_fn: activation(text['hidden_act'], 'silu'),
      }),
      input_layernorm: weighted('MistralRMSNorm'),
      post_attention_layernorm: weighted('MistralRMSNorm'),
    })),
};
