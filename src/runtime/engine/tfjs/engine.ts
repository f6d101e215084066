import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';
import { TensorpressError } from '../../../errors.js';
import { readsOf, type Value } from '../../model/graph.js';
import type { Slice } from '../../model/slice.js';
import type { Device, Engine, EngineOptions, HostArray, Program, Tensor } from '../engine.js';
import { activate, loadBackend, type Backend } from './backend.js';
import { lower, type Arrays } from './lower.js';

export interface TfjsOptions extends EngineOptions {
  readonly device?: 'auto' | Device;
}

/** An array of the caller, or one that a program made. */
type Held =
  { readonly data: HostArray; readonly device?: never } | { readonly device: TfTensor; readonly data?: never };

/**
 * The engine on TensorFlow.js. On wasm and cpu it computes in one thread and copies arrays of the caller for each run, so that they may be
 * rewritten between runs; on a GPU they stay on the device.
 * @throws TensorpressError ENGINE when the device that is asked for by name cannot be had
 */
export async function createTfjsEngine({ device = 'auto' }: TfjsOptions = {}): Promise<Engine> {
  const backend = await loadBackend(device);
  const held = new Map<Tensor, Held>();

  const hold = (array: Held, shape: readonly number[]): Tensor => {
    const tensor: Tensor = {
      shape,
      read: async () => (array.device ? ((await array.device.data()) as Float32Array) : floats(array.data)),
      dispose: () => {
        held.delete(tensor);
        array.device?.dispose();
      },
    };
    held.set(tensor, array);
    return tensor;
  };

  return {
    name: 'tfjs',
    device: backend.device,
    description: backend.description,
    precision: 'float32',
    tensor: (data, shape) => {
      if (backend.device !== 'cuda') return hold({ data }, shape);
      activate(backend);
      return hold({ device: upload(backend, data, shape) }, shape);
    },
    compile: slice => program(backend, slice, held, hold),
    close: () => {
      [...held.keys()].forEach(tensor => tensor.dispose());
      return Promise.resolve();
    },
  };
}

function program(
  backend: Backend,
  slice: Slice,
  held: ReadonlyMap<Tensor, Held>,
  hold: (array: Held, shape: readonly number[]) => Tensor,
): Program {
  const { tf } = backend;
  const unneeded = lastReads(slice);
  const made = new Set(slice.ops.map(op => op.out));

  const compute = (inputs: Readonly<Record<Value, Tensor>>): Record<Value, Tensor> => {
    for (const value of slice.inputs) if (inputs[value] === undefined) throw new Error(`nothing is given for ${value}`);
    activate(backend);
    const live = new Map<Value, TfTensor>();
    const given = (value: Value): Held & { shape: readonly number[] } => {
      const tensor = inputs[value]!;
      const array = held.get(tensor);
      if (array === undefined) throw new Error(`the tensor of ${value} is disposed, or another engine's`);
      return { ...array, shape: tensor.shape };
    };
    const arrays: Arrays = {
      at: value => {
        const there = live.get(value);
        if (there !== undefined) return there;
        const { data, device, shape } = given(value);
        const tensor = device === undefined ? upload(backend, data, shape) : tf.clone(device);
        live.set(value, tf.keep(tensor));
        return tensor;
      },
      host: value => {
        if (live.has(value)) return live.get(value)!.dataSync();
        const { data, device } = given(value);
        return data ?? device.dataSync();
      },
      onDevice: value => live.has(value) || given(value).data === undefined,
      shape: value => live.get(value)?.shape ?? given(value).shape,
    };
    /** The caller's own: also where an array of the caller passes through, on a backend that does not copy it. */
    const own = (value: Value): TfTensor => {
      const array = made.has(value) ? undefined : given(value);
      return array?.data ? upload(backend, array.data.slice(), array.shape) : tf.clone(arrays.at(value));
    };
    const free = (value: Value): void => {
      live.get(value)?.dispose();
      live.delete(value);
    };
    try {
      slice.ops.forEach((op, i) => {
        live.set(
          op.out,
          tf.tidy(() => lower(op, { backend, ...arrays })),
        );
        unneeded[i]!.forEach(free);
      });
      const outputs = slice.outputs.map(value => [value, own(value)] as const);
      return Object.fromEntries(outputs.map(([value, device]) => [value, hold({ device }, device.shape)]));
    } catch (cause) {
      if (cause instanceof TensorpressError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new TensorpressError('ENGINE', `tfjs failed on ${backend.device}: ${why}`, { cause });
    } finally {
      [...live.keys()].forEach(free);
    }
  };
  return { run: inputs => new Promise(resolve => resolve(compute(inputs))) };
}

/** For each op, the values that nothing reads after it. */
function lastReads({ ops, outputs }: Slice): Value[][] {
  const later = new Set<Value>(outputs);
  return ops
    .map(op => new Set([op.out, ...readsOf(op)]))
    .reduceRight<Value[][]>((found, values) => {
      const last = [...values].filter(value => !later.has(value));
      last.forEach(value => later.add(value));
      return [last, ...found];
    }, []);
}

function upload({ tf }: Backend, data: HostArray, shape: readonly number[]): TfTensor {
  return tf.tensor(data instanceof Float64Array ? new Float32Array(data) : data, [...shape]);
}

function floats(data: HostArray): Float32Array | Float64Array {
  return data instanceof Float32Array || data instanceof Float64Array ? data : new Float32Array(data);
}
