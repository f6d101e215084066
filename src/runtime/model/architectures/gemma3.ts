import type { Architecture } from '../architecture.js';
import { decoder, embedding, weighted } from '../tree.js';
import { gemmaAttention, gemmaMlp } from './gemma.js';
import { gemmaNorms } from './gemma2.js';

/** Gemma 3, text only: Gemma 2 with norms on q and k instead of soft caps. */
export const gemma3: Architecture = {
  tied: true,
  tree({ layers, text }) {
    const norms = { q_norm: weighted('Gemma3RMSNorm'), k_norm: weighted('Gemma3RMSNorm') };
    return decoder(
      'Gemma3',
      layers,
      () => ({
        self_attn: gemmaAttention('Gemma3', text['attention_bias'] === true, norms),
        mlp: gemmaMlp('Gemma3', text),
        ...gemmaNorms('Gemma3'),
      }),
      { body: 'Gemma3TextModel', embed: embedding('Gemma3TextScaledWordEmbedding') },
    );
  },
};
