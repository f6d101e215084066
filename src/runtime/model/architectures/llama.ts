import type { Architecture, Dimensions } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readAttentionBias, readMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import { activation, decoder, linear, module, weighted, type Node } from '../tree.js';

/** The modules of Llama, and of the families that differ from it in names and constants only. */
export function llamaTree(family: string, { layers, text }: Dimensions): Node {
  const [attentionBias, mlpBias] = [text['attention_bias'] === true, text['mlp_bias'] === true];
  return decoder(family, layers, () => ({
    self_attn: module(`${family}Attention`, {
      q_proj: linear(attentionBias),
      k_proj: linear(attentionBias),
      v_proj: linear(attentionBias),
      o_proj: linear(attentionBias),
    }),
    mlp: module(`${family}MLP`, {
      gate_proj: linear(mlpBias),
      up_proj: linear(mlpBias),
      down_proj: linear(mlpBias),
      act_fn: activation(text['hidden_act'], 'silu'),
    }),
    input_layernorm: weighted(`${family}RMSNorm`),
    post_attention_layernorm: weighted(`${family}RMSNorm`),
  }));
}

/** Llama 1 to 3; SmolLM2 is one. */
export const llama: Architecture = {
  tied: false,
  tree: dimensions => llamaTree('Llama', dimensions),
  graph(settings) {
    const bias = readAttentionBias(settings);
    const attention = { ...readAttention(settings), bias };
    const mlp = { ...readMlp(settings), bias: settings.flag('mlp_bias', false) };
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
