import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import type { Settings } from '../settings.js';
import { activation, attentionModule, decoder, mlpModule, preNorms } from '../tree.js';

/** Windows of the Qwen families: none, unless `use_sliding_window` gives one to the layers from `max_window_layers` on. */
export function qwenWindows(settings: Settings): (number | null)[] {
  const first = settings.number('max_window_layers', 28);
  const window = settings.slidingWindow(4096);
  return settings.windows(window, i => (window !== null && i >= first ? 'sliding_attention' : 'full_attention'));
}

/** Qwen2 and Qwen2.5: Llama with biases on q, k and v. */
export const qwen2: Architecture = {
  tied: false,
  tree: ({ layers, text }) =>
    decoder('Qwen2', layers, () => ({
      self_attn: attentionModule('Qwen2', { qkv: true, o: false }),
      mlp: mlpModule('Qwen2', activation(text['hidden_act'], 'silu')),
      ...preNorms('Qwen2'),
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
