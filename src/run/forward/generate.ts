import { indexOfLargest } from '../../evaluation/statistics.js';
import type { Engine, Tensor } from '../../runtime/engine/engine.js';
import type { Value } from '../../runtime/model/graph.js';
import { PAST, stored, withPast } from '../../runtime/model/past.js';
import { slice } from '../../runtime/model/slice.js';
import { embedded, type Forward } from './forward.js';
import { runLayer } from './layer.js';
import { resident } from './resident.js';
import { floats, tablesAt, weightsOf } from './supplies.js';

export interface GenerateOptions {
  /** New tokens at most. */
  readonly tokens: number;
  /** Tokens that end a text. */
  readonly eos?: readonly number[];
  /** Called after each new token: may throw to stop. */
  readonly onToken?: () => void;
}

/** A model that continues texts. */
export interface Generator {
  /**
   * The most likely next token again and again, the lowest id of equally likely ones; each token goes through the model once.
   * @param prompt token ids, at least one
   * @returns the new tokens, the one that ends the text among them
   */
  generate(prompt: ArrayLike<number>, options: GenerateOptions): Promise<number[]>;
  /** Frees the weights. */
  close(): void;
}

/**
 * A model whose weights stay in memory in float32, once they were needed: see `residentBytes`. Only the rows of the embedding are read again.
 * Where a rope depends on the length of the sequence, keys keep the rotation of the length at which they were made, as in transformers.
 */
export function openGenerator(model: Pick<Forward, 'engine' | 'decoder' | 'reader'>): Generator {
  const { engine, decoder } = model;
  const weights = resident(model);
  const layers = decoder.layers.map(first => ({ first, next: withPast(first), ...stored(first) }));
  const { head } = decoder;
  const logits = slice(head.ops, ['output']);
  const program = engine.compile(logits);

  /** Keys and values of the tokens before, from position 0 on. */
  const pastOf = (length: number, keys: Rows, values: Rows): Record<Value, Tensor> => {
    if (length === 0) return {};
    const positions = engine.tensor(
      Int32Array.from({ length }, (_, i) => i),
      [length],
    );
    return { [PAST.k]: keys.tensor(), [PAST.v]: values.tensor(), [PAST.positions]: positions };
  };

  /** The logits of the last of some tokens, which follow those of the cache and join them. */
  const step = async (ids: Int32Array, cache: Cache): Promise<Float32Array | Float64Array> => {
    const from = cache.length;
    const batches = [{ ids, length: ids.length, first: 0, rows: 1 }];
    const { stream } = await embedded({ ...model, batches });
    const positions = Int32Array.from(ids, (_, i) => from + i);
    try {
      for (const [index, { first, next, k, v }] of layers.entries()) {
        const { keys, values } = cache.layers[index]!;
        const given = { ...pastOf(from, keys, values), ...tablesAt(engine, decoder, first, positions) };
        const keep = new Map([
          [k, (made: Tensor) => keys.append(made)],
          [v, (made: Tensor) => values.append(made)],
        ]);
        const layer = from === 0 ? first : next;
        await runLayer(
          { engine, batches },
          { layer, part: `layers.${index}`, stream, weights: weights.load, tables: () => given, keep },
        );
        Object.values(given).forEach(tensor => tensor.dispose());
      }
      const hidden = await (await stream.read(0)).read();
      const last = engine.tensor(hidden.slice(-decoder.hidden), [1, decoder.hidden]);
      const loaded = await weights.load(head.prefix, weightsOf(head, logits));
      const { output } = await program.run({ ...loaded, hidden: last });
      const row = (await output!.read()).slice();
      last.dispose();
      output!.dispose();
      cache.length += ids.length;
      return row;
    } finally {
      await stream.close();
    }
  };

  return {
    async generate(prompt, { tokens, eos = [], onToken = () => {} }) {
      const cache: Cache = {
        length: 0,
        layers: layers.map(() => ({ keys: new Rows(engine), values: new Rows(engine) })),
      };
      const made: number[] = [];
      let ids = Int32Array.from(prompt);
      while (made.length < tokens) {
        const token = indexOfLargest(await step(ids, cache));
        made.push(token);
        onToken();
        if (eos.includes(token)) break;
        ids = Int32Array.of(token);
      }
      return made;
    },
    close: () => weights.close(),
  };
}

/** What layers keep of the tokens that went through them. */
interface Cache {
  length: number;
  readonly layers: readonly { readonly keys: Rows; readonly values: Rows }[];
}

/** Rows of equal width that become more: memory doubles when it is full. */
class Rows {
  #data: Float32Array | Float64Array;
  #length = 0;
  #width = 0;

  constructor(private readonly engine: Engine) {
    this.#data = floats(engine, 0);
  }

  async append(rows: Tensor): Promise<void> {
    const data = await rows.read();
    const length = this.#length + data.length;
    if (length > this.#data.length) {
      const larger = floats(this.engine, 2 * length);
      larger.set(this.#data.subarray(0, this.#length));
      this.#data = larger;
    }
    this.#data.set(data, this.#length);
    this.#length = length;
    this.#width = rows.shape[1]!;
    rows.dispose();
  }

  /** All of them: the caller's own. */
  tensor(): Tensor {
    return this.engine.tensor(this.#data.subarray(0, this.#length), [this.#length / this.#width, this.#width]);
  }
}
