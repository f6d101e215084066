import type { Tensor as OrtTensor } from 'onnxruntime-node';
import { TensorpressError } from '../../../errors.js';
import type { HostArray, Tensor } from '../engine.js';
import type { Onnxruntime } from './runtime.js';
import type { Transfer } from './transfer.js';

export type OnnxArray = Float32Array | Float64Array | Int32Array | Uint8Array;
type ElementType = 'float32' | 'float64' | 'int32' | 'uint8';

/** An array that sessions read. */
export interface OnnxTensor extends Tensor {
  readonly type: ElementType;
  /** Its numbers where they are on the host anyway. */
  readonly data: OnnxArray | undefined;
  /** What a session takes. */
  feed(): Promise<OrtTensor>;
}

/** float32 in place of float64, the other arrays as they are. */
export function single(data: HostArray): OnnxArray {
  return data instanceof Float64Array ? new Float32Array(data) : data;
}

/** The element type of an array, as onnxruntime calls it. */
export function typeOf(data: OnnxArray): ElementType {
  if (data instanceof Float64Array) return 'float64';
  return data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'uint8';
}

/** An array in the memory of the host, which onnxruntime reads and writes where it lies. */
export class HostTensor implements OnnxTensor {
  readonly type: ElementType;
  #array: OrtTensor | undefined;

  constructor(
    ort: Onnxruntime,
    readonly data: OnnxArray,
    readonly shape: readonly number[],
    /** Called once, when nobody needs the array any more. */
    private readonly free?: () => void,
  ) {
    this.type = typeOf(data);
    this.#array = new ort.Tensor(this.type, data as Float32Array, shape);
  }

  /** @throws TensorpressError INTERNAL after it was disposed */
  get array(): OrtTensor {
    return this.#array ?? disposed(this.shape);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- asynchronous for tensors on a device
  async feed(): Promise<OrtTensor> {
    return this.array;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- asynchronous for tensors on a device
  async read(): Promise<Float32Array | Float64Array> {
    const { data } = this.array;
    return data instanceof Float32Array || data instanceof Float64Array ? data : Float32Array.from(data as Int32Array);
  }

  dispose(): void {
    if (this.#array !== undefined) this.free?.();
    this.#array = undefined;
  }
}

/** Floats in the memory of a GPU: those that a run left there, or an array of the host that goes there when it is first read. */
export class GpuTensor implements OnnxTensor {
  readonly type = 'float32';
  readonly data = undefined;
  #array: OrtTensor | undefined;

  constructor(
    private readonly transfer: Transfer,
    private readonly all: Set<GpuTensor>,
    array: OrtTensor,
    readonly shape: readonly number[],
  ) {
    this.#array = array;
    all.add(this);
  }

  async feed(): Promise<OrtTensor> {
    const array = this.#array ?? disposed(this.shape);
    if (array.location !== 'cpu') return array;
    const there = await this.transfer.up(array);
    if (this.#array === undefined) there.dispose();
    return this.#array === undefined ? disposed(this.shape) : (this.#array = there);
  }

  async read(): Promise<Float32Array> {
    const array = this.#array ?? disposed(this.shape);
    const here = array.location === 'cpu' ? array : await this.transfer.down(array);
    return here.data as Float32Array;
  }

  dispose(): void {
    this.all.delete(this);
    if (this.#array?.location === 'gpu-buffer') this.#array.dispose();
    this.#array = undefined;
  }
}

function disposed(shape: readonly number[]): never {
  throw new TensorpressError('INTERNAL', `an array [${shape.join(', ')}] is used after it was disposed`);
}
