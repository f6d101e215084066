import type { Architecture } from '../architecture.js';
import { decoder, embedding, weighted, type Node } from '../tree.js';
import { gemmaAttention, gemmaMlp } from './gemma.js';

/** The four norms around attention and MLP that Gemma has had since its second version. */
export function gemmaNorms(family: string): Record<string, Node> {
  return {
    input_layernorm: weighted(`${family}RMSNorm`),
    post_attention_layernorm: weighted(`${family}RMSNorm`),
    pre_feedforward_layernorm: weighted(`${family}RMSNorm`),
    post_feedforward_layernorm: weighted(`${family}RMSNorm`),
  };
}

/** Gemma 2: norms before and after both branches, soft caps on the logits. */
export const gemma2: Architecture = {
  tied: true,
  tree: ({ layers, text }) =>
    decoder(
      'Gemma2',
      layers,
      () => ({
        self_attn: gemmaAttention('Gemma2', text['attention_bias'] === true),
        mlp: gemmaMlp('Gemma2', text),
        ...gemmaNorms('Gemma2'),
      }),
      { embed: embedding('Gemma2TextScaledWordEmbedding') },
    ),
};
