import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, projectFused, readAttention, readMlp, readNorm, type Mlp } from '../blocks.js';
import type { Draft } from '../draft.js';
import type { Value } from '../graph.js';
import { readRope } from '../rope-settings.js';
import { activation, decoder, linear, module, preNorms } from '../tree.js';

const dropout = module(['Dropout', '_DropoutNd']);

/** Phi-3 and Phi-4-mini: Llama with q, k, v in one projection and gate, up in another. */
export const phi3: Architecture = {
  tied: false,
  tree: ({ layers, text }) =>
    decoder('Phi3', layers, () => ({
      self_attn: module('Phi3Attention', { o_proj: linear(), qkv_proj: linear() }),
      mlp: module('Phi3MLP', {
        gate_up_proj: linear(),
        down_proj: linear(),
        activation_fn: activation(text['hidden_act'], 'silu'),
      }),
      ...preNorms('Phi3'),
      resid_attn_dropout: dropout,
      resid_mlp_dropout: dropout,
    })),
  graph(settings) {
    const window = settings.window(settings.countOrNull('sliding_window', null));
    const attention = { ...readAttention(settings), window };
    const mlp = readMlp(settings);
    const norm = readNorm(settings, 1e-5);
    const { hidden } = mlp;
    const types = { default: 'default', longrope: 'longrope', su: 'longrope', yarn: 'longrope' };
    const rope = { headDim: attention.headDim, partial: true, original: 4096, types };
    return assemble(settings, {
      hidden,
      norm,
      ropes: { rope: readRope(settings, rope) },
      attention: (g, x) => attend(g, x, attention, projectFused),
      mlp: (g, x) => fusedMlp(g, x, mlp),
    });
  },
};

/** A gated MLP whose gate and up are the halves of one Linear. */
function fusedMlp(g: Draft, x: Value, { hidden, intermediate, act }: Mlp): Value {
  const both = g.linear(x, 'mlp.gate_up_proj', [2 * intermediate, hidden]);
  const half = (out: Value, from: number, to: number) =>
    g.op({ op: 'columns', in: { x: both }, out, with: { from, to } });
  const gate = half('mlp.gate', 0, intermediate);
  const up = half('mlp.up', intermediate, 2 * intermediate);
  const gated = g.op({ op: 'gated', in: { gate, up }, out: 'mlp.gated', with: { act } });
  g.alias('mlp', 'mlp.down_proj');
  return g.linear(gated, 'mlp.down_proj', [hidden, intermediate]);
}
