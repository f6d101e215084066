import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readAttentionBias, readMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import { activation, decoder, linear, module, weighted, type Node } from '../tree.js';
import { qwenWindows } from './qwen2.js';

/** Attention of the Qwen3 families: q and k are normalised per head. */
export function qwen3Attention(family: string, bias: boolean): Node {
  return module(`${family}Attention`, {
    q_proj: linear(bias),
    k_proj: linear(bias),
    v_proj: linear(bias),
    o_proj: linear(bias),
    q_norm: weighted(`${family}RMSNorm`),
    k_norm: weighted(`${family}RMSNorm`),
  });
}

/** Qwen3: Llama with norms on q and k. */
export const qwen3: Architecture = {
  tied: false,
  tree: ({ layers, text }) =>
    decoder('Qwen3', layers, () => ({
      self_attn: qwen3Attention('Qwen3', text['attention_bias'] === true),
      mlp: module('Qwen3MLP', {
        gate_proj: linear(),
        up_proj: linear(),
        down_proj: linear(),
        act_fn: activation(text['hidden_act'], 'silu'),
      }),
      input_layernorm: weighted('Qwen3RMSNorm'),
      post_attention_layernorm: weighted('Qwen3RMSNorm'),
    })),
  graph(settings) {
    const bias = readAttentionBias(settings);
    const norm = readNorm(settings);
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
