import type { Architecture } from '../architecture.js';
import { activation, decoder, linear, module, weighted } from '../tree.js';

const dropout = module(['Dropout', '_DropoutNd']);

/** Phi-3 and Phi-4-mini: Llama with q, k, v in one projection and gate, up in another. */
export const phi3: Architecture = {
  tied: false,
  tree: ({ layers, text }) =>
    decoder('Phi3', layers, () => ({
      self_attn: module('Phi3Attention', { o_proj: linear(), qkv_proj: linear() }),
      mlp: module('Phi3MLP', {
        gate_up_proj: linear(),
        down_proj: linear(),
        activation_fn: activation(text['hidden_act'], 'silu'),
      }),
      input_layernorm: weighted('Phi3RMSNorm'),
      post_attention_layernorm: weighted('Phi3RMSNorm'),
      resid_attn_dropout: dropout,
      resid_mlp_dropout: dropout,
    })),
};
