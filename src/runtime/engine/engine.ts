import type { Slice } from '../model/slice.js';
import type { Value } from '../model/graph.js';

export const ENGINES = ['onnx', 'tfjs', 'reference'] as const;
export type EngineName = (typeof ENGINES)[number];

export const DEVICES = ['cpu', 'webgpu', 'wasm', 'cuda'] as const;
export type Device = (typeof DEVICES)[number];

/** Numbers on the host. Weights and hidden states are float32 (the reference engine computes in float64), ids and positions int32. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** An array where the engine computes. */
export interface Tensor {
  readonly shape: readonly number[];
  /** Its numbers on the host; not a copy where the engine computes there: use them before the tensor is disposed. */
  read(): Promise<Float32Array | Float64Array>;
  /** Frees it. A tensor that is not disposed is freed with the engine. */
  dispose(): void;
}

/** A compiled slice. */
export interface Program {
  /**
   * @param inputs one tensor for each of the slice's inputs; others are ignored
   * @returns one for each of its outputs, the caller's own
   * @throws TensorpressError ENGINE when the device fails or has not enough memory
   */
  run(inputs: Readonly<Record<Value, Tensor>>): Promise<Record<Value, Tensor>>;
}

/** What runs slices. All engines compute the same function; `reference` defines it. */
export interface Engine {
  readonly name: EngineName;
  readonly device: Device;
  /** For people: `onnxruntime 1.30.0 on cpu, 2 threads`. */
  readonly description: string;
  /** What arrays of floats are made of: a caller gives rope tables and weights in it. */
  readonly precision: 'float32' | 'float64';
  /** Puts an array where the engine computes. An engine on the host takes it as it is: it must not change while a program runs. */
  tensor(data: HostArray, shape: readonly number[]): Tensor;
  /** Equal slices share a program. Shapes may differ from run to run. */
  compile(slice: Slice): Program;
  close(): Promise<void>;
}

export interface EngineOptions {
  /** Threads that compute, for onnx: the others choose themselves. Default: as many as there are cores. */
  readonly threads?: number;
}
