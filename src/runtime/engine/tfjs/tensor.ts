import { TensorpressError } from '../../../errors.js';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';
import type { HostArray, Tensor } from '../engine.js';
import type { Tf } from './backend.js';

/** An array of the caller, or one on the device. */
export class TfjsTensor implements Tensor {
  #array: HostArray | TfTensor | undefined;

  constructor(
    array: HostArray | TfTensor,
    readonly shape: readonly number[],
    private readonly open: Set<Tensor>,
  ) {
    this.#array = array;
    open.add(this);
  }

  /** The caller's array; undefined for one on the device. */
  get host(): HostArray | undefined {
    return ArrayBuffer.isView(this.array) ? this.array : undefined;
  }

  get device(): TfTensor | undefined {
    return ArrayBuffer.isView(this.array) ? undefined : this.array;
  }

  async read(): Promise<Float32Array | Float64Array> {
    const { array } = this;
    if (!ArrayBuffer.isView(array)) return (await array.data()) as Float32Array;
    return array instanceof Float32Array || array instanceof Float64Array ? array : new Float32Array(array);
  }

  dispose(): void {
    if (this.#array !== undefined) this.device?.dispose();
    this.#array = undefined;
    this.open.delete(this);
  }

  private get array(): HostArray | TfTensor {
    if (this.#array === undefined)
      throw new TensorpressError('INTERNAL', `an array [${this.shape.join(', ')}] is used after it was disposed`);
    return this.#array;
  }
}

/** Copies an array to the device; the cpu backend takes it as it is. */
export function upload(tf: Tf, data: HostArray, shape: readonly number[]): TfTensor {
  return tf.tensor(data instanceof Float64Array ? new Float32Array(data) : data, [...shape]);
}
