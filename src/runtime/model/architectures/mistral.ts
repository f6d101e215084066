import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
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
  graph(settings) {
    const window = settings.window(settings.countOrNull('sliding_window', 4096));
    const attention = { ...readAttention(settings, { kvHeads: 8 }), window };
    const mlp = readMlp(settings);
    const norm = readNorm(settings);
    const { hidden } = mlp;
    return assemble(settings, {
      hidden,
      norm,
      ropes: { rope: readRope(settings, attention) },
      attention: (g, x) => attend(g, x, attention),
      mlp: (g, x) => gatedMlp(g, x, mlp),
    });
  },
};
