import { TensorpressError } from '../../errors.js';
import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import { tensorOf } from '../../runtime/model/dress.js';
import type { Decoder, Op, Value } from '../../runtime/model/graph.js';
import { slice } from '../../runtime/model/slice.js';
import type { Batch } from './batches.js';
import { runLayer } from './layer.js';
import type { Reader } from './reader.js';
import { openStream, type Storage, type Stream } from './stream.js';
import { ropeTables, weightLoader, weightsOf } from './supplies.js';

/** Weights of the head that are in memory at a time. */
const HEAD_ELEMENTS = 1 << 23;

export interface Forward {
  readonly engine: Engine;
  readonly decoder: Decoder;
  readonly reader: Reader;
  readonly batches: readonly Batch[];
  /** Where hidden states lie. */
  readonly storage?: Storage;
  /** Weights of the head that are in memory at a time. Default: HEAD_ELEMENTS. */
  readonly headElements?: number;
  /** Called between batches: may throw to stop. */
  readonly tick?: (done: { part: string; batch: number }) => void;
}

/**
 * Runs a model over all batches up to its head, part by part: the weights of one slice are in memory, and the hidden states of all batches lie
 * in a stream.
 */
export async function hiddenStates(forward: Forward): Promise<Stream> {
  const { engine, decoder, batches, storage } = forward;
  const stream = await openStream(engine, { ...storage, batches, width: decoder.hidden });
  try {
    await embed(forward, stream);
    const weights = weightLoader(forward);
    const tables = ropeTables(engine, decoder);
    for (const [index, layer] of decoder.layers.entries()) {
      await runLayer(forward, { layer, part: `layers.${index}`, stream, weights, tables });
    }
    return stream;
  } catch (error) {
    await stream.close();
    throw error;
  }
}

/** The rows of the embedding that occur are read once and looked up: a vocabulary of 100,000 needs no memory. */
async function embed({ engine, decoder, reader, batches, tick }: Forward, stream: Stream): Promise<void> {
  const graph = decoder.embedding;
  const gather = graph.ops.find((op): op is Op<'gather'> => op.op === 'gather')!;
  const { tensor } = tensorOf(graph.prefix, gather.in.table);
  const used = [...new Set(batches.flatMap(({ ids }) => [...new Set(ids)]))].sort((a, b) => a - b);
  const [rows = 0, width = 0] = await reader.shape(tensor);
  const beyond = used.find(id => id < 0 || id >= rows);
  if (beyond !== undefined) {
    throw new TensorpressError('MODEL', `token ${beyond} is outside of the vocabulary of ${rows}`, {
      place: { tensor },
      hint: 'tokens and model do not belong together: check the tokenizer, or the file of token ids',
    });
  }
  const table = new Float32Array(used.length * width);
  const placeOf = new Map<number, number>();
  const step = Math.max(1, Math.floor(HEAD_ELEMENTS / 8 / width));
  for (let i = 0; i < used.length;) {
    // neighbours are read together
    let end = i + 1;
    while (end < used.length && used[end]! < used[i]! + step) end++;
    const from = used[i]!;
    const block = await reader.read(tensor, { rows: { from, to: used[end - 1]! + 1 } });
    for (; i < end; i++) {
      const at = (used[i]! - from) * width;
      table.set(block.subarray(at, at + width), i * width);
      placeOf.set(used[i]!, i);
    }
  }
  const program = engine.compile(slice(graph.ops, ['output']));
  const rowsOf = engine.tensor(table, [used.length, width]);
  for (const [b, { ids }] of batches.entries()) {
    const places = engine.tensor(
      ids.map(id => placeOf.get(id)!),
      [ids.length],
    );
    const { output } = await program.run({ [gather.in.table]: rowsOf, ids: places });
    places.dispose();
    await stream.next(b, output!);
    tick?.({ part: 'embedding', batch: b });
  }
  rowsOf.dispose();
}

/** What the head makes of a batch for some of the vocabulary. */
export interface HeadPiece {
  readonly batch: number;
  /** First token of the vocabulary in it, and how many there are. */
  readonly from: number;
  readonly count: number;
  /** One tensor for each value that was asked for. */
  readonly values: Readonly<Record<string, Tensor>>;
}

export interface HeadOptions {
  /** Ops behind the logits (`output`), and the values of them that `take` sees. */
  readonly tail?: readonly Op[];
  readonly wanted: readonly Value[];
  /** Batches that go through the whole vocabulary before the next do. Default: all at once, so that the head is read once. */
  readonly groups?: readonly (readonly number[])[];
  /** What else those ops read, for a batch and a piece of the vocabulary. */
  readonly extra?: (batch: number, from: number, count: number) => Record<string, Tensor>;
  take(piece: HeadPiece): Promise<void>;
}

/** Runs the head over all batches, a piece of the vocabulary at a time; the stream's hidden states become normalised ones. */
export async function runHead(
  forward: Forward,
  stream: Stream,
  { tail = [], wanted, extra, take, groups }: HeadOptions,
) {
  const { engine, decoder, reader, batches, headElements = HEAD_ELEMENTS } = forward;
  const { head } = decoder;
  const index = head.ops.findLastIndex(op => op.op === 'linear');
  const linear = head.ops[index] as Op<'linear'>;
  const before = slice(head.ops.slice(0, index), [linear.in.x]);
  const first = engine.compile(before);
  const load = weightLoader(forward);
  const loaded = await load(head.prefix, weightsOf(head, before));
  for (const [b] of batches.entries()) {
    const hidden = await stream.read(b);
    const values = await first.run({ ...loaded, hidden });
    await stream.next(b, values[linear.in.x]!);
  }

  const { tensor } = tensorOf(head.prefix, linear.in.weight);
  const [rows = 0, columns = 0] = await reader.shape(tensor);
  const behind = head.ops.slice(index + 1);
  // a checkpoint may ask for something to be done to the logits of a token as a whole
  const divisible = behind.every(({ op }) => op !== 'fake_quantize' && op !== 'transform');
  const step = divisible ? Math.max(1, Math.min(rows, Math.floor(headElements / columns))) : rows;
  const memory = new Float32Array(step * columns);
  const after = slice([linear, ...behind, ...tail], wanted, new Set([linear.in.x]));
  const program = engine.compile(after);
  const bias =
    linear.in.bias === undefined ? undefined : await reader.read(tensorOf(head.prefix, linear.in.bias).tensor);
  const own = new Set([linear.in.weight, linear.in.bias]);
  const others = await load(
    head.prefix,
    weightsOf(head, after).filter(name => !own.has(name)),
  );
  for (const group of groups ?? [[...batches.keys()]]) {
    for (let from = 0; from < rows; from += step) {
      const count = Math.min(step, rows - from);
      const out = memory.subarray(0, count * columns);
      await reader.read(tensor, { rows: { from, to: from + count }, out });
      const piece = {
        [linear.in.weight]: engine.tensor(out, [count, columns]),
        ...(bias === undefined ? {} : { [linear.in.bias!]: engine.tensor(bias.slice(from, from + count), [count]) }),
      };
      for (const b of group) {
        const more = extra?.(b, from, count) ?? {};
        const values = await program.run({ ...others, ...piece, ...more, [linear.in.x]: await stream.read(b) });
        await take({ batch: b, from, count, values });
        Object.values({ ...values, ...more }).forEach(tensor => tensor.dispose());
        forward.tick?.({ part: 'head', batch: b });
      }
      Object.values(piece).forEach(tensor => tensor.dispose());
    }
  }
}
