import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Value } from '../../model/graph.js';
import type { Device, HostArray, Tensor } from '../engine.js';
import { Buffers } from './buffers.js';
import type { Wire } from './builder.js';
import { outputName, type Lowered } from './lower.js';
import type { Onnxruntime } from './runtime.js';
import { GpuTensor, HostTensor, single, typeOf, type OnnxTensor } from './tensor.js';
import { Transfer } from './transfer.js';

/** Where arrays lie, and where runs leave their results. */
export interface Memory {
  readonly device: Device;
  tensor(data: HostArray, shape: readonly number[]): Tensor;
  owns(tensor: Tensor): tensor is OnnxTensor;
  run(
    session: InferenceSession,
    feeds: Record<string, OrtTensor>,
    outputs: Lowered['outputs'],
  ): Promise<Record<Value, Tensor>>;
  close(): Promise<void>;
}

/** The memory of the host. Results are written into arrays that earlier results left behind. */
export function hostMemory(ort: Onnxruntime, device: Device): Memory {
  const buffers = new Buffers();
  const place = ({ type, shape }: Pick<Wire, 'type' | 'shape'>): HostTensor | undefined => {
    if (shape.includes(undefined) || type !== 'float32') return undefined;
    const data = buffers.take((shape as number[]).reduce((product, size) => product * size, 1));
    return new HostTensor(ort, data, shape as number[], () => buffers.give(data));
  };
  return {
    device,
    tensor: (data, shape) => new HostTensor(ort, single(data), shape),
    owns: tensor => tensor instanceof HostTensor,
    run: async (session, feeds, outputs) => {
      const places = [...outputs].map(([name, wire]) => [name, place(wire)] as const);
      const fetches = Object.fromEntries(places.map(([name, tensor]) => [outputName(name), tensor?.array ?? null]));
      const results = await session.run(feeds, fetches);
      return Object.fromEntries(
        places.map(([name, tensor]) => {
          const { data, dims } = results[outputName(name)]!;
          return [name, tensor ?? new HostTensor(ort, data as Float32Array | Float64Array, dims)];
        }),
      );
    },
    close: () => Promise.resolve(buffers.clear()),
  };
}

/** The memory of a GPU: floats stay there between runs. Ids, positions and masks are small; they go there with each run. */
export function gpuMemory(ort: Onnxruntime, device: Device, options: InferenceSession.SessionOptions): Memory {
  const transfer = new Transfer(ort, options);
  const all = new Set<GpuTensor>();
  return {
    device,
    tensor: (data, shape) => {
      const array = single(data);
      return array instanceof Float32Array
        ? new GpuTensor(transfer, all, new ort.Tensor(typeOf(array), array, shape), shape)
        : new HostTensor(ort, array, shape);
    },
    owns: tensor => tensor instanceof GpuTensor || tensor instanceof HostTensor,
    run: async (session, feeds, outputs) => {
      const results = await session.run(feeds);
      return Object.fromEntries(
        [...outputs.keys()].map(name => {
          const result = results[outputName(name)]!;
          return [name, new GpuTensor(transfer, all, result, result.dims)];
        }),
      );
    },
    close: async () => {
      for (const tensor of [...all]) tensor.dispose();
      await transfer.close();
    },
  };
}
