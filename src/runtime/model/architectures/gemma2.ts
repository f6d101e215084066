import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readAttentionBias, readMlp } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import { attentionModule, decoder, embedding, mlpModule, norms, type Node } from '../tree.js';
import { gemmaAct, gemmaActivation, gemmaNorm, gemmaScale } from './gemma.js';

/** The four norms around attention and MLP that Gemma has had since its second version. */
export function gemmaNorms(family: string): Record<string, Node> {
  return norms(
    family,
    'input_layernorm',
    'post_attention_layernorm',
    'pre_feedforward_layernorm',
    'post_feedforward_layernorm',
  );
}

/** Gemma 2: norms before and after both branches, soft caps on the logits. */
export const gemma2: Architecture = {
  tied: true,
  tree: ({ layers, text }) =>
    decoder(
      'Gemma2',
      layers,
      () => ({
        self_attn: attentionModule('Gemma2', { qkv: text['attention_bias'] === true }),
        mlp: mlpModule('Gemma2', gemmaAct(text)),
        ...gemmaNorms('Gemma2'),
      }),
      { embed: embedding('Gemma2TextScaledWordEmbedding') },
    ),
  graph(settings) {
    const bias = readAttentionBias(settings);
    const attention = {
      ...readAttention(settings, { kvHeads: 4, headDim: 256 }),
      scale: settings.count('query_pre_attn_scalar', 256) ** -0.5,
      cap: settings.numberOrNull('attn_logit_softcapping', 50),
      bias,
    };
    const window = settings.countOrNull('sliding_window', 4096);
    settings.says('sliding_window_size', window);
    const windows = settings.windows(window, i => (i % 2 === 0 ? 'sliding_attention' : 'full_attention'));
    const { hidden } = attention;
    const mlp = readMlp(settings, gemmaActivation(settings, 'hidden_activation'));
    const norm = gemmaNorm(settings);
    return assemble(settings, {
      hidden,
      norm,
      ropes: { rope: readRope(settings, attention) },
      embeddingFactor: gemmaScale(hidden),
      logitsCap: settings.numberOrNull('final_logit_softcapping', 30),
      norms: 'sandwich',
      attention: (g, x, i) => attend(g, x, { ...attention, window: windows[i]! }),
      mlp: (g, x) => gatedMlp(g, x, mlp),
    });
  },
};
