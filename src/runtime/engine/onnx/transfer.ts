import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { Builder } from './builder.js';
import type { Onnxruntime } from './runtime.js';

/**
 * Moves arrays between host and GPU through sessions that do nothing: onnxruntime has no other way to put an array there, and reading one
 * with `getData()` ends the process.
 */
export class Transfer {
  readonly #sessions = new Map<string, Promise<InferenceSession>>();

  constructor(
    private readonly ort: Onnxruntime,
    private readonly options: InferenceSession.SessionOptions,
  ) {}

  up(array: OrtTensor): Promise<OrtTensor> {
    return this.#move(array, 'gpu-buffer');
  }

  down(array: OrtTensor): Promise<OrtTensor> {
    return this.#move(array, 'cpu');
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).release();
    this.#sessions.clear();
  }

  async #move(x: OrtTensor, to: 'gpu-buffer' | 'cpu'): Promise<OrtTensor> {
    const key = `${to} ${x.dims.length}`;
    const session = this.#sessions.get(key) ?? this.#create(x.dims.length, to);
    this.#sessions.set(key, session);
    return (await (await session).run({ x }))['y']!;
  }

  #create(rank: number, to: 'gpu-buffer' | 'cpu'): Promise<InferenceSession> {
    return this.ort.InferenceSession.create(identity(rank), { ...this.options, preferredOutputLocation: to });
  }
}

/** y = x, for arrays of this rank. */
export function identity(rank: number): Uint8Array {
  const b = new Builder();
  return b.encode({ y: b.input('x', 'float32', new Array<undefined>(rank).fill(undefined)) });
}
