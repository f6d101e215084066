import type { InferenceSession } from 'onnxruntime-node';
import { TensorpressError } from '../../../errors.js';
import type { Value } from '../../model/graph.js';
import type { Slice } from '../../model/slice.js';
import type { Program, Tensor } from '../engine.js';
import type { Buffers } from './buffers.js';
import { lower, type Lowered } from './lower.js';
import { engineError, type Onnxruntime } from './runtime.js';
import { specialize, type Specialization } from './shapes.js';
import { OnnxTensor } from './tensor.js';

/** Sessions that a program keeps: a layer sees a full batch, the last batch, and steps of decoding. */
const SESSIONS = 8;
/** Scores of one chunk of queries. */
const CHUNK_BYTES = 16 * 2 ** 20;

interface Compiled {
  readonly session: InferenceSession;
  readonly outputs: Lowered['outputs'];
}

/** A slice as sessions of onnxruntime, one for each set of shapes. */
export class OnnxProgram implements Program {
  readonly #sessions = new Map<string, Compiled>();

  constructor(
    private readonly slice: Slice,
    private readonly ort: Onnxruntime,
    private readonly options: InferenceSession.SessionOptions,
    private readonly buffers: Buffers,
  ) {}

  async run(inputs: Readonly<Record<Value, Tensor>>): Promise<Record<Value, Tensor>> {
    const arrays = new Map(this.slice.inputs.map(name => [name, arrayOf(name, inputs[name])]));
    const specialization = specialize(this.slice, arrays);
    try {
      const { session, outputs } = await this.#session(specialization);
      const feeds = Object.fromEntries([...arrays].map(([name, { ort }]) => [name, ort]));
      const places = new Map([...outputs].map(([name, shape]) => [name, this.#place(shape)]));
      const fetches = Object.fromEntries([...places].map(([name, place]) => [name, place?.ort ?? null]));
      const results = await session.run(feeds, fetches);
      return Object.fromEntries(
        [...places].map(([name, place]) => {
          const { data, dims } = results[name]!;
          return [name, place ?? new OnnxTensor(this.ort, data as Float32Array, dims)];
        }),
      );
    } catch (error) {
      throw engineError(error, 'cpu');
    }
  }

  async close(): Promise<void> {
    const all = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const { session } of all) await session.release();
  }

  async #session({ key, inputs, options }: Specialization): Promise<Compiled> {
    const known = this.#sessions.get(key);
    if (known !== undefined) {
      this.#sessions.delete(key);
      this.#sessions.set(key, known); // the oldest comes first
      return known;
    }
    const { model, outputs } = lower(this.slice, inputs, { ...options, chunkBytes: CHUNK_BYTES });
    const session = await this.ort.InferenceSession.create(model, this.options);
    const made = { session, outputs };
    this.#sessions.set(key, made);
    const [oldest] = this.#sessions;
    if (this.#sessions.size > SESSIONS && oldest !== undefined) {
      this.#sessions.delete(oldest[0]);
      await oldest[1].session.release();
    }
    return made;
  }

  /** An array for an output whose shape is known beforehand. */
  #place(shape: readonly (number | undefined)[]): OnnxTensor | undefined {
    if (shape.includes(undefined)) return undefined;
    const sizes = shape as readonly number[];
    const data = this.buffers.take(sizes.reduce((product, size) => product * size, 1));
    return new OnnxTensor(this.ort, data, sizes, () => this.buffers.give(data));
  }
}

function arrayOf(name: Value, tensor: Tensor | undefined): OnnxTensor {
  if (tensor instanceof OnnxTensor) return tensor;
  const what = tensor === undefined ? 'is missing' : 'is an array of another engine';
  throw new TensorpressError('INTERNAL', `${name} ${what}`);
}
