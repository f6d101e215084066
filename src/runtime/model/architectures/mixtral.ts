import type { Architecture } from '../architecture.js';
import { assemble } from '../assemble.js';
import { attend, mixture, readAttention, readNorm } from '../blocks.js';
import { readRope } from '../rope-settings.js';
import { activation, attentionModule, decoder, experts, linear, module, weighted, preNorms } from '../tree.js';

const NAMES = { gate: 'w1', up: 'w3', down: 'w2' };
/** In checkpoints that llm-compressor has quantized. */
const RENAMED = { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' };

/**
 * Mixtral: Mistral whose MLP is a mixture; an expert is w2 (act(w1 x) * w3 x). Checkpoints call the mixture `block_sparse_moe`, and the
 * matrices of an expert come in llm-compressor's order: up, gate, down.
 */
export const mixtral: Architecture = {
  tied: false,
  experts: 8,
  tree: ({ layers, experts: count, text }) =>
    decoder('Mixtral', layers, () => ({
      self_attn: attentionModule('Mixtral'),
      block_sparse_moe: module('MixtralSparseMoeBlock', {
        gate: weighted('MixtralTopKRouter'),
        experts: experts(count, { w3: linear(), w1: linear(), w2: linear() }, activation(text['hidden_act'], 'silu')),
      }),
      ...preNorms('Mixtral'),
    })),
  graph(settings) {
    const window = settings.window(settings.countOrNull('sliding_window', null));
    const attention = { ...readAttention(settings, { kvHeads: 8 }), window };
    const norm = readNorm(settings, 1e-5);
    const { hidden } = attention;
    const experts = {
      hidden,
      intermediate: settings.count('intermediate_size'),
      act: settings.activation('hidden_act', 'silu'),
      count: settings.experts(8),
      top: settings.count('num_experts_per_tok', 2),
      normalize: true,
      at: 'block_sparse_moe',
      names: settings.holds('model.layers.0.block_sparse_moe.experts.0.gate_proj') ? RENAMED : NAMES,
    };
    return assemble(settings, {
      hidden,
      norm,
      ropes: { rope: readRope(settings, { ...attention, theta: 1_000_000 }) },
      attention: (g, x) => attend(g, x, attention),
      mlp: (g, x) => mixture(g, x, experts),
    });
  },
};
