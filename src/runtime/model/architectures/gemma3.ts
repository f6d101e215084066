import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readAttentionBias, readMlp } from '../blocks.js';
import { readRopes } from '../rope-settings.js';
import { attentionModule, decoder, embedding, mlpModule, norms } from '../tree.js';
import { gemmaAct, gemmaActivation, gemmaNorm, gemmaScale } from './gemma.js';
import { gemmaNorms } from './gemma2.js';

/** Gemma 3, text only: Gemma 2 with norms on q and k instead of soft caps. */
export const gemma3: Architecture = {
  tied: true,
  tree({ layers, text }) {
    return decoder(
      'Gemma3',
      layers,
      () => ({
        self_attn: attentionModule(
          'Gemma3',
          { qkv: text['attention_bias'] === true },
          norms('Gemma3', 'q_norm', 'k_norm'),
        ),
        mlp: mlpModule('Gemma3', gemmaAct(text)),
        ...gemmaNorms('Gemma3'),
      }),
      { body: 'Gemma3TextModel', embed: embedding('Gemma3TextScaledWordEmbedding') },
    );
  },
  graph(settings) {
    const bias = readAttentionBias(settings);
    const norm = gemmaNorm(settings);
    const attention = {
      ...readAttention(settings, { kvHeads: 4, headDim: 256 }),
      scale: settings.count('query_pre_attn_scalar', 256) ** -0.5,
      norm,
      bias,
    };
    const pattern = settings.count('sliding_window_pattern', 6);
    const window = settings.countOrNull('sliding_window', 4096);
    const windows = settings.windows(window, i => ((i + 1) % pattern === 0 ? 'full_attention' : 'sliding_attention'));
    const ropes = readRopes(settings, attention.headDim);
    const { hidden } = attention;
    const mlp = readMlp(settings, gemmaActivation(settings, 'hidden_activation'));
    return assemble(settings, {
      hidden,
      norm,
      ropes: { rope_local: ropes.local, rope_global: ropes.global },
      embeddingFactor: gemmaScale(hidden),
      logitsCap: settings.numberOrNull('final_logit_softcapping', null),
      norms: 'sandwich',
      attention(g, x, i) {
        const window = windows[i]!;
        return attend(g, x, { ...attention, window, rope: window === null ? 'rope_global' : 'rope_local' });
      },
      mlp: (g, x) => gatedMlp(g, x, mlp),
    });
  },
};
