import type { Tensor as OrtTensor } from 'onnxruntime-node';
import { TensorpressError } from '../../../errors.js';
import type { HostArray, Tensor } from '../engine.js';
import type { Onnxruntime } from './runtime.js';

const TYPES = { Float32Array: 'float32', Int32Array: 'int32', Uint8Array: 'uint8' } as const;

/** An array in the memory of the host, which onnxruntime reads and writes where it lies. */
export class OnnxTensor implements Tensor {
  readonly type: 'float32' | 'int32' | 'uint8';
  #array: OrtTensor | undefined;

  constructor(
    ort: Onnxruntime,
    readonly data: Float32Array | Int32Array | Uint8Array,
    readonly shape: readonly number[],
    /** Called once, when nobody needs the array any more. */
    private readonly free?: () => void,
  ) {
    this.type = TYPES[data.constructor.name as keyof typeof TYPES];
    this.#array = new ort.Tensor(this.type, data as Float32Array, shape);
  }

  /** @throws TensorpressError INTERNAL after it was disposed */
  get ort(): OrtTensor {
    if (this.#array !== undefined) return this.#array;
    throw new TensorpressError('INTERNAL', `an array [${this.shape.join(', ')}] is used after it was disposed`);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- asynchronous for the engines that have a device
  async read(): Promise<Float32Array> {
    const { data } = this.ort;
    return data instanceof Float32Array ? data : Float32Array.from(data as Int32Array);
  }

  dispose(): void {
    if (this.#array !== undefined) this.free?.();
    this.#array = undefined;
  }
}

/** float32 in place of float64, the other arrays as they are. */
export function single(data: HostArray): Float32Array | Int32Array | Uint8Array {
  return data instanceof Float64Array ? new Float32Array(data) : data;
}
