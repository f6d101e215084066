import type { Tensor } from '../../runtime/engine/engine.js';
import { tensorOf } from '../../runtime/model/dress.js';
import type { Op, Value } from '../../runtime/model/graph.js';
import { slice } from '../../runtime/model/slice.js';
import { collectGrown } from '../garbage.js';
import type { Forward } from './forward.js';
import type { Stream } from './stream.js';
import { weightLoader, weightsOf } from './supplies.js';

/** Weights of all open heads that are in memory at a time. */
const HEAD_ELEMENTS = 1 << 23;
/** Logits of a batch that are in memory at a time, of all open heads: few, since all that is made of them passes over them again and again. */
const LOGITS = 1 << 20;

/** The head of a model, a piece of the vocabulary at a time: its whole weight may be larger than memory, and so may all logits. */
export interface Head {
  readonly vocabulary: number;
  /** Tokens of the vocabulary in a piece, at most. */
  readonly step: number;
  /** Loads the rows of the tokens [from, from + count). */
  load(from: number, count: number): Promise<void>;
  /** Values that were asked for, of a batch and the piece that is loaded: the caller's own. */
  run(batch: number, more?: Readonly<Record<Value, Tensor>>): Promise<Record<Value, Tensor>>;
}

/**
 * Opens the head behind the last layer; the stream's hidden states become normalised ones.
 * @param options.tail ops behind the logits (`output`)
 * @param options.wanted values that `run` gives
 * @param options.heads how many are open at the same time
 */
export async function openHead(
  forward: Forward,
  stream: Stream,
  { tail = [], wanted, heads = 1 }: { tail?: readonly Op[]; wanted: readonly Value[]; heads?: number },
): Promise<Head> {
  const { engine, decoder, reader, batches, headElements = HEAD_ELEMENTS } = forward;
  const { head } = decoder;
  const index = head.ops.findLastIndex(op => op.op === 'linear');
  const linear = head.ops[index] as Op<'linear'>;
  const before = slice(head.ops.slice(0, index), [linear.in.x]);
  const first = engine.compile(before);
  const loadWeights = weightLoader(forward);
  const loaded = await loadWeights(head.prefix, weightsOf(head, before));
  for (const b of batches.keys()) {
    const values = await first.run({ ...loaded, hidden: await stream.read(b) });
    await stream.next(b, values[linear.in.x]!);
  }

  const { tensor } = tensorOf(head.prefix, linear.in.weight);
  const [vocabulary = 0, columns = 0] = await reader.shape(tensor);
  const behind = head.ops.slice(index + 1);
  // a checkpoint may ask for something to be done to the logits of a token as a whole
  const divisible = behind.every(({ op }) => op !== 'fake_quantize' && op !== 'transform');
  const tokens = Math.max(1, ...batches.map(({ ids }) => ids.length));
  const most = Math.floor(Math.min(headElements / columns, LOGITS / tokens) / heads);
  const step = divisible ? Math.max(1, Math.min(vocabulary, most)) : vocabulary;
  const after = slice([linear, ...behind, ...tail], wanted, new Set([linear.in.x]));
  const program = engine.compile(after);
  const bias =
    linear.in.bias === undefined ? undefined : await reader.read(tensorOf(head.prefix, linear.in.bias).tensor);
  const own = new Set([linear.in.weight, linear.in.bias]);
  const others = await loadWeights(
    head.prefix,
    weightsOf(head, after).filter(name => !own.has(name)),
  );
  const memory = new Float32Array(step * columns);
  let piece: Record<Value, Tensor> = {};
  return {
    vocabulary,
    step,
    async load(from, count) {
      Object.values(piece).forEach(tensor => tensor.dispose());
      const out = memory.subarray(0, count * columns);
      await reader.read(tensor, { rows: { from, to: from + count }, out });
      piece = {
        [linear.in.weight]: engine.tensor(out, [count, columns]),
        ...(bias === undefined ? {} : { [linear.in.bias!]: engine.tensor(bias.slice(from, from + count), [count]) }),
      };
    },
    run: async (batch, more = {}) =>
      program.run({ ...others, ...piece, ...more, [linear.in.x]: await stream.read(batch) }),
  };
}

/**
 * Visits all batches for all pieces of the vocabulary; heads that are visited together see equal pieces.
 * @param groups batches that go through the whole vocabulary before the next do, so that logits of a few rows can be put together
 */
export async function visitPieces(
  heads: readonly Head[],
  groups: readonly (readonly number[])[],
  visit: (batch: number, from: number, count: number) => Promise<void>,
): Promise<void> {
  const { vocabulary } = heads[0]!;
  const step = Math.min(...heads.map(head => head.step));
  const collect = collectGrown();
  for (const group of groups) {
    for (let from = 0; from < vocabulary; from += step) {
      const count = Math.min(step, vocabulary - from);
      for (const head of heads) await head.load(from, count);
      for (const batch of group) await visit(batch, from, count);
      collect();
    }
  }
}
