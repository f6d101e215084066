import { Draft, type Norm } from './draft.js';
import type { Decoder, Rope } from './graph.js';
import type { Settings } from './settings.js';

export interface DecoderOptions {
  /** Width of the hidden states. */
  readonly hidden: number;
  /** Of the head. */
  readonly norm: Norm;
  readonly ropes: Readonly<Record<string, Rope>>;
  /** Of the embedding. Default: 1. */
  readonly embeddingFactor?: number;
  /** Of the logits. Default: 1. */
  readonly logitsFactor?: number;
  /** Of the logits. Default: none. */
  readonly logitsCap?: number | null;
  /** Writes one layer. */
  layer(g: Draft, index: number): void;
}

/** A whole decoder: embedding, layers, and a head of norm and Linear, whose weight is the embedding's where the two are tied. */
export function assemble(settings: Settings, options: DecoderOptions): Decoder {
  const { hidden, norm, ropes, embeddingFactor = 1, logitsFactor = 1, logitsCap = null, layer } = options;
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
      layer(draft, index);
      return draft.finish();
    }),
    head: head.finish(),
  };
}
