import { Draft, type Norm } from './draft.js';
import type { Decoder, Rope, Value } from './graph.js';
import type { Settings } from './settings.js';

export interface DecoderOptions {
  /** Width of the hidden states. */
  readonly hidden: number;
  /** Of layers and head. */
  readonly norm: Norm;
  readonly ropes: Readonly<Record<string, Rope>>;
  /** Of the embedding. Default: 1. */
  readonly embeddingFactor?: number;
  /** Of the logits. Default: 1. */
  readonly logitsFactor?: number;
  /** Of the logits. Default: none. */
  readonly logitsCap?: number | null;
  /** Around the two branches of a layer. Default: `pre`. */
  readonly norms?: keyof typeof NORMS;
  /** Of each branch. Default: 1. */
  readonly branchFactor?: number;
  /** The branches of layer i, from normalised hidden states. */
  attention(g: Draft, x: Value, i: number): Value;
  mlp(g: Draft, x: Value, i: number): Value;
}

/** The norms around the two branches of a layer: before each, or before and after. */
const NORMS = {
  pre: [['input_layernorm'], ['post_attention_layernorm']],
  sandwich: [
    ['input_layernorm', 'post_attention_layernorm'],
    ['pre_feedforward_layernorm', 'post_feedforward_layernorm'],
  ],
} as const;

/** A whole decoder: embedding, layers, and a head of norm and Linear, whose weight is the embedding's where the two are tied. */
export function assemble(settings: Settings, options: DecoderOptions): Decoder {
  const { hidden, norm, ropes, embeddingFactor = 1, logitsFactor = 1, logitsCap = null } = options;
  const vocabulary = settings.count('vocab_size');
  const shape = [vocabulary, hidden] as const;

  const embedding = new Draft(settings);
  const table = embedding.weight('model.embed_tokens.weight', shape);
  const rows = embedding.op({ op: 'gather', in: { table, ids: 'ids' }, out: 'embed_tokens', with: {} });
  embedding.scale(rows, embeddingFactor, 'scaled');

  const head = new Draft(settings);
  const x = head.norm('hidden', 'model.norm', hidden, norm, 'norm');
  const weight = head.weight(settings.tied ? table : 'lm_head.weight', shape);
  const logits = head.op({ op: 'linear', in: { x, weight }, out: 'lm_head', with: {} });
  const scaled = head.scale(logits, logitsFactor, 'scaled');
  if (logitsCap !== null) head.op({ op: 'softcap', in: { x: scaled }, out: 'capped', with: { cap: logitsCap } });

  return {
    hidden,
    vocabulary,
    ropes,
    embedding: embedding.finish(),
    layers: Array.from({ length: settings.layers }, (_, index) => {
      const draft = new Draft(settings, `model.layers.${index}.`);
      layer(draft, index, options);
      return draft.finish();
    }),
    head: head.finish(),
  };
}

/** h = x + factor attention(norm x), then h + factor mlp(norm h); `sandwich` normalises the branches' outputs too. */
function layer(g: Draft, index: number, options: DecoderOptions): void {
  const { hidden, norm, norms = 'pre', branchFactor = 1 } = options;
  const residual = (x: Value, out: Value, branch: 'attention' | 'mlp', [before, after]: readonly [string, string?]) => {
    const y = options[branch](g, g.norm(x, before, hidden, norm), index);
    const normed = after === undefined ? y : g.norm(y, after, hidden, norm);
    return g.op({ op: 'add', in: { a: x, b: g.scale(normed, branchFactor, `${out}.branch`) }, out, with: {} });
  };
  const [first, second] = NORMS[norms];
  residual(residual('hidden', 'residual', 'attention', first), 'output', 'mlp', second);
}
