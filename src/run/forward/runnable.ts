import { decoderOf } from '../../runtime/model/decoder.js';
import { dress } from '../../runtime/model/dress.js';
import type { Decoder, Op } from '../../runtime/model/graph.js';
import type { Model } from '../../runtime/model/model.js';
import { quantizationOf, schemesOf } from '../compressed.js';
import { dressOf } from './attire.js';
import { openReader, type Reader } from './reader.js';

/** A model that can be run: its graphs, with the schemes of a compressed checkpoint in them, and its weights. */
export interface Runnable {
  readonly decoder: Decoder;
  readonly reader: Reader;
  /** Whether rows have to run one by one: a scheme takes one scale of everything that runs together. */
  readonly alone: boolean;
}

/** @throws TensorpressError MODEL when its architecture, its config or its quantization cannot be run */
export async function runnable(model: Model): Promise<Runnable> {
  const decoder = decoderOf(model);
  if (!model.quantized) return { decoder, reader: openReader(model, undefined), alone: false };
  const quantization = quantizationOf(model);
  const schemes = schemesOf(model, quantization);
  const reader = openReader(model, schemes);
  const by = await dressOf(model, quantization, schemes, reader);
  const layers = decoder.layers.map(layer => dress(layer, by));
  const head = dress(decoder.head, by);
  return {
    decoder: { ...decoder, layers, head },
    reader,
    alone: [...layers, head].some(({ ops }) => ops.some(scalesTogether)),
  };
}

function scalesTogether(op: Op): boolean {
  if (op.op === 'experts') return op.with.body.some(scalesTogether);
  return op.op === 'fake_quantize' && op.with.args.strategy === 'tensor' && op.in.scale === undefined;
}
