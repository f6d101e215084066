import { availableParallelism } from 'node:os';
import type { InferenceSession } from 'onnxruntime-node';
import { TensorpressError } from '../../../errors.js';
import type { Engine, EngineOptions } from '../engine.js';
import { gpuMemory, hostMemory } from './memory.js';
import { OnnxProgram } from './program.js';
import { askDevice, bestDevice, howToGet, type Gpu } from './probe.js';
import { loadOnnxruntime, onnxruntimeVersion, sessionOptions, type OnnxDevice } from './runtime.js';

export interface OnnxOptions extends EngineOptions {
  /** `auto`: a real GPU, else cpu. */
  readonly device: 'auto' | OnnxDevice;
}

/**
 * onnxruntime as an engine. Weights are inputs of a session, so one session serves all layers of equal structure. A run blocks its thread.
 * @throws TensorpressError ENGINE where onnxruntime or the device is missing
 */
export async function createOnnxEngine({
  device: wanted,
  threads = availableParallelism(),
}: OnnxOptions): Promise<Engine> {
  const ort = await loadOnnxruntime();
  const device = wanted === 'auto' ? await bestDevice() : wanted === 'cpu' ? wanted : await tried(wanted);
  const shared = sessionOptions(threads);
  const options: InferenceSession.SessionOptions =
    device === 'cpu' ? shared : { ...shared, executionProviders: [device, 'cpu'] };
  const memory = device === 'webgpu' ? gpuMemory(ort, device, options) : hostMemory(ort, device);
  const stay: InferenceSession.SessionOptions =
    device === 'webgpu' ? { ...options, preferredOutputLocation: 'gpu-buffer' } : options;
  const programs = new Map<string, OnnxProgram>();
  return {
    name: 'onnx',
    device,
    description: `onnxruntime ${onnxruntimeVersion()} on ${device}, ${threads} thread${threads === 1 ? '' : 's'}`,
    precision: 'float32',
    tensor: memory.tensor,
    compile: slice => {
      const key = JSON.stringify([slice.ops, slice.inputs, slice.outputs]);
      const program = programs.get(key) ?? new OnnxProgram(slice, ort, stay, memory);
      programs.set(key, program);
      return program;
    },
    close: async () => {
      for (const program of programs.values()) await program.close();
      programs.clear();
      await memory.close();
    },
  };
}

/** In a process of its own first: a driver may crash, and some print. */
async function tried(device: Gpu): Promise<OnnxDevice> {
  const { error } = await askDevice(device);
  if (error === undefined) return device;
  throw new TensorpressError('ENGINE', `onnxruntime finds no ${device} device here`, {
    hint: `${howToGet(device)}; or use --device ${device === 'cuda' ? 'webgpu or cpu' : 'cpu'}`,
    cause: new Error(error),
  });
}
