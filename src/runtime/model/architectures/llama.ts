import type { Architecture, Dimensions } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readAttentionBias, readBiasedMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import { activation, attentionModule, decoder, mlpModule, preNorms, type Node } from '../tree.js';

/** The modules of Llama, and of the families that differ from it in names and constants only. */
export function llamaTree(family: string, { layers, text }: Dimensions): Node {
  const [attentionBias, mlpBias] = [text['attention_bias'] === true, text['mlp_bias'] === true];
  return decoder(family, layers, () => ({
    self_attn: attentionModule(family, { qkv: attentionBias }),
    mlp: mlpModule(family, activation(text['hidden_act'], 'silu'), mlpBias),
    ...preNorms(family),
  }));
}

/** Llama 1 to 3; SmolLM2 is one. */
export const llama: Architecture = {
  tied: false,
  tree: dimensions => llamaTree('Llama', dimensions),
  graph(settings) {
    const bias = readAttentionBias(settings);
    const attention = { ...readAttention(settings), bias };
    const mlp = readBiasedMlp(settings);
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
