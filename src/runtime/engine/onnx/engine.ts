import { availableParallelism } from 'node:os';
import type { Slice } from '../../model/slice.js';
import type { Engine, EngineOptions } from '../engine.js';
import { Buffers } from './buffers.js';
import { OnnxProgram } from './program.js';
import { loadOnnxruntime, onnxruntimeVersion, sessionOptions } from './runtime.js';
import { OnnxTensor, single } from './tensor.js';

export interface OnnxOptions extends EngineOptions {
  readonly device: 'cpu' | 'webgpu' | 'cuda';
}

/**
 * onnxruntime as an engine. Weights are inputs of a session, so one session serves all layers of equal structure. A run blocks its thread.
 * @throws TensorpressError ENGINE where onnxruntime or the device is missing
 */
export async function createOnnxEngine({ device, threads = availableParallelism() }: OnnxOptions): Promise<Engine> {
  const ort = await loadOnnxruntime();
  const options = sessionOptions(threads);
  const buffers = new Buffers();
  const programs = new Map<string, OnnxProgram>();
  return {
    name: 'onnx',
    device,
    description: `onnxruntime ${onnxruntimeVersion()} on ${device}, ${threads} thread${threads === 1 ? '' : 's'}`,
    precision: 'float32',
    tensor: (data, shape) => new OnnxTensor(ort, single(data), shape),
    compile: (slice: Slice) => {
      const key = JSON.stringify([slice.ops, slice.inputs, slice.outputs]);
      const program = programs.get(key) ?? new OnnxProgram(slice, ort, options, buffers);
      programs.set(key, program);
      return program;
    },
    close: async () => {
      for (const program of programs.values()) await program.close();
      programs.clear();
      buffers.clear();
    },
  };
}
