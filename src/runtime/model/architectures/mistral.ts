import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import { activation, attentionModule, decoder, mlpModule, preNorms } from '../tree.js';

/** Mistral 7B and its successors without experts: Llama without any biases. */
export const mistral: Architecture = {
  tied: false,
  tree: ({ layers, text }) =>
    decoder('Mistral', layers, () => ({
      self_attn: attentionModule('Mistral'),
      mlp: mlpModule('Mistral', activation(text['hidden_act'], 'silu')),
      ...preNorms('Mistral'),
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
