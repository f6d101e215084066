import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readAttentionBias, readMlp } from '../blocks.js';
import type { Norm } from '../draft.js';
import type { Activation } from '../graph.js';
import { readRope } from '../rope-settings.js';
import type { Settings } from '../settings.js';
import { activation, attentionModule, decoder, embedding, mlpModule, preNorms, type Node } from '../tree.js';

/** What the MLPs of the Gemma families are activated by. */
export function gemmaAct(text: Readonly<Record<string, unknown>>): Node {
  return activation(text['hidden_activation'] ?? text['hidden_act'], 'gelu_pytorch_tanh');
}

/** The norm of the Gemma families, whose checkpoints hold w of 1 + w. */
export function gemmaNorm(settings: Settings): Norm {
  return { eps: settings.number('rms_norm_eps', 1e-6), offset: 1 };
}

/** What the embedding of the Gemma families is multiplied by; transformers keeps it in float32. */
export const gemmaScale = (hidden: number) => Math.fround(Math.sqrt(hidden));

/** The activation under `key`, which the other of the two keys must not contradict. */
export function gemmaActivation(settings: Settings, key: 'hidden_act' | 'hidden_activation'): Activation {
  const other = key === 'hidden_act' ? 'hidden_activation' : 'hidden_act';
  // transformers takes the gelu of the first Gemma for its tanh form, but only by that very name
  const tanh = key === 'hidden_act' && settings.raw(key) === 'gelu';
  const act = tanh ? 'gelu_tanh' : settings.activation(key, 'gelu_pytorch_tanh');
  const contradicts = settings.raw(other) != null && settings.activation(other, '') !== act;
  if (contradicts) throw settings.wrong(other, settings.raw(other), `what ${key} says`);
  return act;
}

/** Gemma: Llama with norms of weight 1 + w and an embedding that is scaled and tied to the head. */
export const gemma: Architecture = {
  tied: true,
  tree: ({ layers, text }) =>
    decoder(
      'Gemma',
      layers,
      () => ({
        self_attn: attentionModule('Gemma', { qkv: text['attention_bias'] === true }),
        mlp: mlpModule('Gemma', gemmaAct(text)),
        ...preNorms('Gemma'),
      }),
      { embed: embedding('GemmaTextScaledWordEmbedding') },
    ),
  graph(settings) {
    const bias = readAttentionBias(settings);
    const heads = readAttention(settings, { kvHeads: 16, headDim: 256 });
    const attention = { ...heads, bias };
    const { hidden } = heads;
    const mlp = readMlp(settings, gemmaActivation(settings, 'hidden_act'));
    const norm = gemmaNorm(settings);
    return assemble(settings, {
      hidden,
      norm,
      ropes: { rope: readRope(settings, attention) },
      embeddingFactor: gemmaScale(hidden),
      attention: (g, x) => attend(g, x, attention),
      mlp: (g, x) => gatedMlp(g, x, mlp),
    });
  },
};
