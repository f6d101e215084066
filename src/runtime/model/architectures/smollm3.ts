import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, gatedMlp, readAttention, readAttentionBias, readBiasedMlp, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import type { Settings } from '../settings.js';
import { llamaTree } from './llama.js';

/** SmolLM3: Llama in which every fourth layer has no rope. */
export const smollm3: Architecture = {
  tied: true,
  tree: dimensions => llamaTree('SmolLM3', dimensions),
  graph(settings) {
    const bias = readAttentionBias(settings);
    const attention = { ...readAttention(settings, { kvHeads: 4 }), bias };
    const mlp = readBiasedMlp(settings);
    const norm = readNorm(settings);
    const rotated = rotatedLayers(settings);
    const window = settings.slidingWindow(null);
    const windows = settings.windows(window, i =>
      window !== null && !rotated[i] ? 'sliding_attention' : 'full_attention',
    );
    const { hidden } = mlp;
    return assemble(settings, {
      hidden,
      norm,
      ropes: { rope: readRope(settings, { ...attention, theta: 2_000_000 }) },
      attention: (g, x, i) => attend(g, x, { ...attention, rope: rotated[i] ? 'rope' : null, window: windows[i]! }),
      mlp: (g, x) => gatedMlp(g, x, mlp),
    });
  },
};

/** `no_rope_layers`, where 1 means that the layer has rope; else every layer but each `no_rope_layer_interval`-th. */
function rotatedLayers(settings: Settings): boolean[] {
  const interval = settings.count('no_rope_layer_interval', 4);
  const given = settings.raw('no_rope_layers');
  if (given == null) return Array.from({ length: settings.layers }, (_, i) => (i + 1) % interval !== 0);
  if (!Array.isArray(given) || given.length < settings.layers || !given.every(item => item === 0 || item === 1)) {
    throw settings.wrong('no_rope_layers', given, `0 or 1 for each of ${settings.layers} layers`);
  }
  return given.map(item => item === 1);
}
