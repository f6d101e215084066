import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, mixture, readAttention, readAttentionBias, readMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import { activation, decoder, experts, linear, module, weighted } from '../tree.js';
import { qwen3Attention } from './qwen3.js';

/** Qwen3-MoE: Qwen3 whose layers hold experts, except those that `mlp_only_layers` and `decoder_sparse_step` leave dense. */
export const qwen3Moe: Architecture = {
  tied: false,
  experts: 128,
  tree({ layers, experts: count, text }) {
    const act = activation(text['hidden_act'], 'silu');
    const sparse = sparseLayers(text['mlp_only_layers'], text['decoder_sparse_step'], count);
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
  graph(settings) {
    const bias = readAttentionBias(settings);
    const norm = readNorm(settings);
    const sliding = settings.flag('use_sliding_window', false);
    const given = settings.countOrNull('sliding_window', 4096);
    const window = settings.window(sliding ? given : null);
    const attention = { ...readAttention(settings, { kvHeads: 4 }), norm, window, bias };
    const mlp = readMlp(settings);
    const { hidden, act } = mlp;
    const count = settings.experts(128);
    const moe = {
      ...{ hidden, act, count, at: 'mlp', names: { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' } },
      intermediate: settings.count('moe_intermediate_size', 768),
      top: settings.count('num_experts_per_tok', 8),
      normalize: settings.flag('norm_topk_prob', false),
    };
    const sparse = sparseLayers(settings.raw('mlp_only_layers'), settings.count('decoder_sparse_step', 1), count);
    return assemble(settings, {
      hidden,
      norm,
      ropes: { rope: readRope(settings, attention) },
      attention: (g, x) => attend(g, x, attention),
      mlp: (g, x, i) => (sparse(i) ? mixture(g, x, moe) : gatedMlp(g, x, mlp)),
    });
  },
};

/** Which layers hold experts. */
function sparseLayers(mlpOnly: unknown, sparseStep: unknown, experts: number): (layer: number) => boolean {
  const dense: readonly unknown[] = Array.isArray(mlpOnly) ? mlpOnly : [];
  const step = typeof sparseStep === 'number' ? sparseStep : 1;
  return layer => !dense.includes(layer) && experts > 0 && (layer + 1) % step === 0;
}
