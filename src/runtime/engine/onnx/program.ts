import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { TensorpressError } from '../../../errors.js';
import type { Value } from '../../model/graph.js';
import type { Slice } from '../../model/slice.js';
import type { Program, Tensor } from '../engine.js';
import { lower, type Lowered } from './lower.js';
import type { Memory } from './memory.js';
import { engineError, type Onnxruntime } from './runtime.js';
import { specialize, type Specialization } from './shapes.js';
import type { OnnxTensor } from './tensor.js';

/** Sessions that a program keeps: a layer sees a full batch, the last batch, and steps of decoding. */
const SESSIONS = 8;

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
    private readonly memory: Memory,
  ) {}

  async run(inputs: Readonly<Record<Value, Tensor>>): Promise<Record<Value, Tensor>> {
    const arrays = new Map(this.slice.inputs.map(name => [name, this.#array(name, inputs[name])]));
    const specialization = specialize(this.slice, arrays);
    try {
      const { session, outputs } = await this.#session(specialization);
      const feeds: Record<string, OrtTensor> = {};
      for (const [name, array] of arrays) feeds[name] = await array.feed();
      return await this.memory.run(session, feeds, outputs);
    } catch (error) {
      throw engineError(error, this.memory.device);
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
      this.#sessions.set(key, known); // the one that was not used for longest comes first
      return known;
    }
    const { model, outputs } = lower(this.slice, inputs, { ...options, device: this.memory.device });
    const made = { session: await this.ort.InferenceSession.create(model, this.options), outputs };
    this.#sessions.set(key, made);
    const [oldest] = this.#sessions;
    if (this.#sessions.size > SESSIONS && oldest !== undefined) {
      this.#sessions.delete(oldest[0]);
      await oldest[1].session.release();
    }
    return made;
  }

  #array(name: Value, tensor: Tensor | undefined): OnnxTensor {
    if (tensor !== undefined && this.memory.owns(tensor)) return tensor;
    const what = tensor === undefined ? 'is missing' : 'is an array of another engine';
    throw new TensorpressError('INTERNAL', `${name} ${what}`);
  }
}
