import type { Architecture } from '../architecture.js';
import { activation, decoder, embedding, linear, module, weighted, type Node } from '../tree.js';

/** q, k, v, o of the Gemma families. */
export function gemmaAttention(family: string, bias: boolean, norms: Readonly<Record<string, Node>> = {}): Node {
  return module(`${family}Attention`, {
    q_proj: linear(bias),
    k_proj: linear(bias),
    v_proj: linear(bias),
    o_proj: linear(bias),
    ...norms,
  });
}

/** The MLP of the Gemma families: down (gelu(gate x) * up x). */
export function gemmaMlp(family: string, text: Readonly<Record<string, unknown>>): Node {
  return module(`${family}MLP`, {
    gate_proj: linear(),
    up_proj: linear(),
    down_proj: linear(),
    act_fn: activation(text['hidden_activation'] ?? text['hidden_act'], 'gelu_pytorch_tanh'),
  });
}

/** Gemma: Llama with norms of weight 1 + w and an embedding that is scaled and tied to the head. */
export const gemma: Architecture = {
  tied: true,
  tree: ({ layers, text }) =>
    decoder(
      'Gemma',
      layers,
      () => ({
        self_attn: gemmaAttention('Gemma', text['attention_bias'] === true),
        mlp: gemmaMlp('Gemma', text),
        input_layernorm: weighted('GemmaRMSNorm'),
        post_attention_layernorm: weighted('GemmaRMSNorm'),
      }),
      { embed: embedding('GemmaTextScaledWordEmbedding') },
    ),
};
