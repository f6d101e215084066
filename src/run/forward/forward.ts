import { TensorpressError } from '../../errors.js';
import type { Engine } from '../../runtime/engine/engine.js';
import { tensorOf } from '../../runtime/model/dress.js';
import type { Decoder, Op } from '../../runtime/model/graph.js';
import { slice } from '../../runtime/model/slice.js';
import { collectGrown } from '../garbage.js';
import type { Batch } from './batches.js';
import { runLayer } from './layer.js';
import type { Reader } from './reader.js';
import { openStream, type Storage, type Stream } from './stream.js';
import { ropeTables, weightLoader } from './supplies.js';

/** Elements that are read together where few of them are needed. */
const NEIGHBOURS = 1 << 20;
/** Elements of the embedding that are looked up together. */
const TABLE = 1 << 23;

/** Work that is done: its share of what a part does for one batch. The shares of a part add up to the number of batches. */
export interface Done {
  readonly part: string;
  readonly share: number;
}

export interface Forward {
  readonly engine: Engine;
  readonly decoder: Decoder;
  readonly reader: Reader;
  readonly batches: readonly Batch[];
  /** Where hidden states lie. */
  readonly storage?: Storage;
  /** Weights of the head that are in memory at a time. Default: 2^23. */
  readonly headElements?: number;
  /** Called between pieces of work: may throw to stop. */
  readonly tick?: (done: Done) => void;
}

/** The hidden states of all batches between two parts of a model. */
export interface States {
  readonly stream: Stream;
  /** Takes them through the next layer. */
  next(): Promise<void>;
}

/**
 * A model before its first layer. It runs over all batches part by part: the weights of one slice are in memory, and the hidden states of all
 * batches lie in a stream.
 */
export async function embedded(forward: Forward): Promise<States> {
  const { engine, decoder, batches, storage } = forward;
  const stream = await openStream(engine, { ...storage, batches, width: decoder.hidden });
  try {
    await embed(forward, stream);
  } catch (error) {
    await stream.close();
    throw error;
  }
  const weights = weightLoader(forward);
  const tables = ropeTables(engine, decoder);
  const collect = collectGrown();
  let index = 0;
  return {
    stream,
    async next() {
      const part = `layers.${index}`;
      await runLayer(forward, { layer: decoder.layers[index++]!, part, stream, weights, tables });
      collect();
    },
  };
}

/**
 * The rows of the embedding that occur are read and looked up, those of as many batches at a time as fit: neither the vocabulary nor the number of
 * batches shows in memory.
 */
export async function embed({ engine, decoder, reader, batches, tick }: Forward, stream: Stream): Promise<void> {
  const graph = decoder.embedding;
  const gather = graph.ops.find((op): op is Op<'gather'> => op.op === 'gather')!;
  const { tensor } = tensorOf(graph.prefix, gather.in.table);
  const [rows = 0, width = 0] = await reader.shape(tensor);
  const program = engine.compile(slice(graph.ops, ['output']));
  for (const group of groupsOf(batches, Math.max(1, Math.floor(TABLE / width)))) {
    const used = [...group.used].sort((a, b) => a - b);
    const beyond = used.find(id => id < 0 || id >= rows);
    if (beyond !== undefined) {
      throw new TensorpressError('MODEL', `token ${beyond} is outside of the vocabulary of ${rows}`, {
        place: { tensor },
        hint: 'tokens and model do not belong together: check the tokenizer, or the file of token ids',
      });
    }
    const placeOf = new Map(used.map((id, i) => [id, i]));
    const table = engine.tensor(await rowsOf(reader, tensor, used, width), [used.length, width]);
    for (let b = group.from; b < group.to; b++) {
      const { ids } = batches[b]!;
      const places = engine.tensor(
        ids.map(id => placeOf.get(id)!),
        [ids.length],
      );
      const { output } = await program.run({ [gather.in.table]: table, ids: places });
      places.dispose();
      await stream.next(b, output!);
      tick?.({ part: 'embedding', share: 1 });
    }
    table.dispose();
  }
}

/** Batches that follow each other and use up to `most` different tokens, one batch at least. */
function* groupsOf(
  batches: readonly Batch[],
  most: number,
): Generator<{ from: number; to: number; used: Set<number> }> {
  for (let from = 0, to = 0; from < batches.length; from = to) {
    const used = new Set<number>();
    for (; to < batches.length; to++) {
      const next = batches[to]!.ids.filter(id => !used.has(id));
      if (to > from && used.size + next.length > most) break;
      next.forEach(id => used.add(id));
    }
    yield { from, to, used };
  }
}

/** Rows of a tensor, ascending: neighbours are read together. */
async function rowsOf(reader: Reader, tensor: string, rows: readonly number[], width: number): Promise<Float32Array> {
  const out = new Float32Array(rows.length * width);
  const step = Math.max(1, Math.floor(NEIGHBOURS / width));
  for (let i = 0; i < rows.length;) {
    const from = rows[i]!;
    let end = i + 1;
    while (end < rows.length && rows[end]! < from + step) end++;
    const block = await reader.read(tensor, { rows: { from, to: rows[end - 1]! + 1 } });
    for (; i < end; i++) {
      const at = (rows[i]! - from) * width;
      out.set(block.subarray(at, at + width), i * width);
    }
  }
  return out;
}
