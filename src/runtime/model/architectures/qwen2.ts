import type { Architecture } from '../architecture.js';
import { activation, decoder, linear, module, weighted } from '../tree.js';

/** Qwen2 and Qwen2.5: Llama with biases on q, k and v. */
export const qwen2: Architecture = {
  tied: false,
  tree: ({ layers, text }) =>
    decoder('Qwen2', layers, () => ({
      self_attn: module('Qwen2Attention', {
        q_proj: linear(true),
        k_proj: linear(true),
        v_proj: linear(true),
        o_proj: linear(),
      }),
      mlp: module('Qwen2MLP', {
        gate_proj: linear(),
        up_proj: linear(),
        down_proj: linear(),
        act_fn: activation(text['hidden_act'], 'silu'),
      }),
      input_layernorm: weighted('Qwen2RMSNorm'),
      post_attention_layernorm: weighted('Qwen2RMSNorm'),
    })),
};
