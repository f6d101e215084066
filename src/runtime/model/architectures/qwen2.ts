import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import type { Settings } from '../settings.js';
import { activation, decoder, linear, module, weighted } from '../tree.js';

/** Windows of the Qwen families: none, unless `use_sliding_window` gives one to the layers from `max_window_layers` on. */
export function qwenWindows(settings: Settings): (number | null)[] {
  const sliding = settings.flag('use_sliding_window', false);
  const given = settings.countOrNull('sliding_window', 4096);
  const first = settings.number('max_window_layers', 28);
  const window = sliding ? given : null;
  return settings.windows(window, i => (window !== null && i >= first ? 'sliding_attention' : 'full_attention'));
}

/** Qwen2 and Qwen2.5: Llama with biases on q, k and v. */
export const qwen2: Architecture = {
  tied: false,
  tree: ({ layers, text }) =>
    decoder('Qwen2', layers, () => ({
      self_attn: module('Qwen2Attention', {
        q_proj: linear(true),
        k_proj: linear(true),
        v_proj: linear(true),
        o_proj: linear(),
      }),
      mlp: module('Qwen2MLP', {
        gate_proj: linear(),
        up_proj: linear(),
        down_proj: linear(),
        act_fn: activation(text['hidden_act'], 'silu'),
      }),
      input_layernorm: weighted('Qwen2RMSNorm'),
      post_attention_layernorm: weighted('Qwen2RMSNorm'),
    })),
  graph(settings) {
    const attention = { ...readAttention(settings, { kvHeads: 32 }), bias: { qkv: true, o: false } };
    const windows = qwenWindows(settings);
    const mlp = readMlp(settings);
    const norm = readNorm(settings);
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
