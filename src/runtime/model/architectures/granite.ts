import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readAttentionBias, readBiasedMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import { llamaTree } from './llama.js';

/** Granite 3: Llama with a factor on the embedding, on attention scores, on both branches, and on the logits. */
export const granite: Architecture = {
  tied: false,
  tree: dimensions => llamaTree('Granite', dimensions),
  graph(settings) {
    const bias = readAttentionBias(settings);
    const attention = {
      ...readAttention(settings),
      bias,
      scale: settings.number('attention_multiplier', 1),
    };
    const mlp = readBiasedMlp(settings);
    const norm = readNorm(settings);
    const { hidden } = mlp;
    return assemble(settings, {
      hidden,
      norm,
      ropes: { rope: readRope(settings, attention) },
      embeddingFactor: settings.number('embedding_multiplier', 1),
      logitsFactor: 1 / settings.number('logits_scaling', 1),
      branchFactor: settings.number('residual_multiplier', 1),
      attention: (g, x) => attend(g, x, attention),
      mlp: (g, x) => gatedMlp(g, x, mlp),
    });
  },
};
