import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readAttentionBias, readMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import { activation, attentionModule, decoder, mlpModule, norms, preNorms } from '../tree.js';
import { qwenWindows } from './qwen2.js';

/** Qwen3: Llama with norms on q and k. */
export const qwen3: Architecture = {
  tied: false,
  tree: ({ layers, text }) =>
    decoder('Qwen3', layers, () => ({
      self_attn: attentionModule('Qwen3', { qkv: text['attention_bias'] === true }, norms('Qwen3', 'q_norm', 'k_norm')),
      mlp: mlpModule('Qwen3', activation(text['hidden_act'], 'silu')),
      ...preNorms('Qwen3'),
    })),
  graph(settings) {
    const bias = readAttentionBias(settings);
    const norm = readNorm(settings);
    settings.says('use_qk_norm', true);
    const heads = readAttention(settings, { kvHeads: 32, headDim: 128 });
    const attention = { ...heads, norm, bias };
    const windows = qwenWindows(settings);
    const mlp = readMlp(settings);
    const { hidden } = mlp;
    return assemble(settings, {
      hidden,
      norm,
      ropes: { rope: readRope(settings, attention) },
      attention: (g, x, i) => attend(g, x, { ...attention, window: windows[i]! }),
      mlp: (g, x) => gatedMlp(g, x, mlp),
    });
  },
};
