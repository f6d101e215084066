import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, mixture, readAttention, readAttentionBias, readMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import {
  activation,
  attentionModule,
  decoder,
  experts,
  linear,
  mlpModule,
  module,
  norms,
  weighted,
  preNorms,
} from '../tree.js';

/** Qwen3-MoE: Qwen3 whose layers hold experts, except those that `mlp_only_layers` and `decoder_sparse_step` leave dense. */
export const qwen3Moe: Architecture = {
  tied: false,
  experts: 128,
  tree({ layers, experts: count, text }) {
    const act = activation(text['hidden_act'], 'silu');
    const sparse = sparseLayers(text['mlp_only_layers'], text['decoder_sparse_step'], count);
    return decoder('Qwen3Moe', layers, layer => ({
      self_attn: attentionModule(
        'Qwen3Moe',
        { qkv: text['attention_bias'] === true },
        norms('Qwen3Moe', 'q_norm', 'k_norm'),
      ),
      mlp: sparse(layer)
        ? module('Qwen3MoeSparseMoeBlock', {
            experts: experts(count, { up_proj: linear(), gate_proj: linear(), down_proj: linear() }, act),
            gate: weighted('Qwen3MoeTopKRouter'),
          })
        : mlpModule('Qwen3Moe', act),
      ...preNorms('Qwen3Moe'),
    }));
  },
  graph(settings) {
    const bias = readAttentionBias(settings);
    const norm = readNorm(settings);
    settings.says('use_qk_norm', true);
    const window = settings.window(settings.slidingWindow(4096));
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
    const dense = settings.raw('mlp_only_layers') ?? [];
    if (!Array.isArray(dense)) throw settings.wrong('mlp_only_layers', dense, 'a list of layers');
    const sparse = sparseLayers(dense, settings.count('decoder_sparse_step', 1), count);
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
