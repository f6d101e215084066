import type { Architecture } from '../architecture.js';
import { activation, decoder, experts, linear, module, weighted } from '../tree.js';
import { qwen3Attention } from './qwen3.js';

/** Qwen3-MoE: Qwen3 whose layers hold experts, except those that `mlp_only_layers` and `decoder_sparse_step` leave dense. */
export const qwen3Moe: Architecture = {
  tied: false,
  experts: 128,
  tree({ layers, experts: count, text }) {
    const act = activation(text['hidden_act'], 'silu');
    const step = typeof text['decoder_sparse_step'] === 'number' ? text['decoder_sparse_step'] : 1;
    const dense = Array.isArray(text['mlp_only_layers']) ? text['mlp_only_layers'] : [];
    const sparse = (layer: number) => !dense.includes(layer) && count > 0 && (layer + 1) % step === 0;
    return decoder('Qwen3Moe', layers, layer => ({
      self_attn: qwen3Attention('Qwen3Moe', text['attention_bias'] === true),
      mlp: sparse(layer)
        ? module('Qwen3MoeSparseMoeBlock', {
            experts: experts(count, { up_proj: linear(), gate_proj: linear(), down_proj: linear() }, act),
            gate: weighted('Qwen3MoeTopKRouter'),
          })
        : module('Qwen3MoeMLP', { gate_proj: linear(), up_proj: linear(), down_proj: linear(), act_fn: act }),
      input_layernorm: weighted('Qwen3MoeRMSNorm'),
      post_attention_layernorm: weighted('Qwen3MoeRMSNorm'),
    }));
  },
};
