import type { Architecture } from '../architecture.js';
import { activation, decoder, linear, module, weighted } from '../tree.js';

/** Llama 1 to 3, and the families that differ from it in names and constants only (SmolLM2 is a LlamaForCausalLM). */
export function llamaShaped(family: string, { tied = false } = {}): Architecture {
  return {
    tied,
    tree({ layers, text }) {
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
    },
  };
}

export const llama = llamaShaped('Llama');
