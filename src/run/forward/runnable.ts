import { decoderOf } from '../../runtime/model/decoder.js';
import { dress } from '../../runtime/model/dress.js';
import type { Decoder } from '../../runtime/model/graph.js';
import type { Model } from '../../runtime/model/model.js';
import { quantizationOf, schemesOf } from '../compressed.js';
import { dressOf } from './attire.js';
import { openReader, type Reader } from './reader.js';

/** A model that can be run: its graphs, with the schemes of a compressed checkpoint in them, and its weights. */
export interface Runnable {
  readonly decoder: Decoder;
  readonly reader: Reader;
}

/** @throws TensorpressError MODEL when its architecture, its config or its quantization cannot be run */
export function runnable(model: Model): Runnable {
  const decoder = decoderOf(model);
  if (!model.quantized) return { decoder, reader: openReader(model, undefined) };
  const quantization = quantizationOf(model);
  const schemes = schemesOf(model, quantization);
  const by = dressOf(model, quantization, schemes);
  return {
    decoder: { ...decoder, layers: decoder.layers.map(layer => dress(layer, by)), head: dress(decoder.head, by) },
    reader: openReader(model, schemes),
  };
}
