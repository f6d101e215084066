import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import type * as tfjs from '@tensorflow/tfjs-core';
import { TensorpressError } from '../../../errors.js';
import type { Device } from '../engine.js';

export type Tf = typeof tfjs;

/** A backend of tfjs that is loaded, but not active while another one is. */
export interface Backend {
  readonly tf: Tf;
  readonly name: 'tensorflow' | 'wasm' | 'cpu';
  readonly device: Device;
  readonly description: string;
}

export interface LoadOptions {
  /** Imports tfjs-node-gpu, which registers the backend `tensorflow`. */
  readonly importLibrary?: () => Promise<unknown>;
}

export interface DeviceReport {
  readonly device: Device;
  readonly available: boolean;
  readonly description: string;
  /** How to get it, when it is missing. */
  readonly hint?: string;
}

const NODE_GPU = '@tensorflow/tfjs-node-gpu';
const NODE_GPU_HINT = `npm install ${NODE_GPU}@4.22.0`;

/**
 * Loads a backend of tfjs. `auto`: TensorFlow's C library where tfjs-node-gpu is installed and loads, else wasm, else cpu.
 * @throws TensorpressError ENGINE when the device that is asked for by name cannot be had
 */
export async function loadBackend(
  device: 'auto' | Device,
  { importLibrary = () => import(NODE_GPU) }: LoadOptions = {},
): Promise<Backend> {
  const tf = await import('@tensorflow/tfjs-core');
  tf.enableProdMode(); // else backend-cpu prints an advertisement
  if (device === 'webgpu') throw unavailable(noWebgpu);
  if (device === 'wasm') return loadWasm(tf);
  const library = await loadLibrary(tf, importLibrary);
  if ('tf' in library) {
    if (device === 'auto' || device === library.device) return library;
    if (device === 'cuda') throw unavailable(noGpu);
  } else if (device === 'cuda') throw unavailable(library);
  if (device === 'cpu') return loadCpu(tf);
  return loadWasm(tf).catch(async (error: unknown) => {
    const cpu = await loadCpu(tf);
    const why = error instanceof Error ? error.message : String(error);
    return { ...cpu, description: `${cpu.description} (wasm fails: ${why})` };
  });
}

/** What this machine offers to tfjs, one report for each device. Loads the backends. */
export async function probeTfjs(): Promise<DeviceReport[]> {
  const devices = ['cuda', 'wasm', 'cpu', 'webgpu'] as const;
  const reports: DeviceReport[] = [];
  for (const device of devices) {
    reports.push(
      await loadBackend(device).then(
        ({ description }) => ({ device, available: true, description }),
        (error: unknown) => {
          if (!(error instanceof TensorpressError)) throw error;
          const { message, hint } = error;
          return { device, available: false, description: message, ...(hint === undefined ? {} : { hint }) };
        },
      ),
    );
  }
  return reports;
}

/** Makes the backend the active one, at once: it has been loaded. */
export function activate({ tf, name }: Backend): void {
  if (tf.getBackend() !== name) void tf.setBackend(name);
}

interface Lack {
  readonly device: Device;
  readonly why: string;
  readonly hint: string;
  readonly cause?: unknown;
}

const noWebgpu: Lack = { device: 'webgpu', why: 'it has no WebGPU outside browsers', hint: 'use --engine onnx' };
const noGpu: Lack = {
  device: 'cuda',
  why: 'TensorFlow finds no CUDA GPU',
  hint: 'install the CUDA and cuDNN libraries of TensorFlow 2.9, or leave --device out',
};

function unavailable({ device, why, hint, cause }: Lack): TensorpressError {
  return new TensorpressError('ENGINE', `tfjs cannot use ${device}: ${why}`, { hint, cause });
}

/** TensorFlow's C library; what keeps it from being used otherwise. */
async function loadLibrary(tf: Tf, importLibrary: () => Promise<unknown>): Promise<Backend | Lack> {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2'; // the library writes to stderr itself
  try {
    await importLibrary();
    if (!(await tf.setBackend('tensorflow'))) throw new Error('its backend does not start');
    const { isUsingGpuDevice } = tf.backend() as unknown as { isUsingGpuDevice: boolean };
    const device = isUsingGpuDevice ? 'cuda' : 'cpu';
    const description = `tfjs ${tf.version_core} on ${device}, by TensorFlow's C library`;
    return { tf, name: 'tensorflow', device, description };
  } catch (cause) {
    // a loader of Node may leave the error without a code
    const message = cause instanceof Error ? cause.message : String(cause);
    const absent = /cannot find (package|module)|native addon/i.test(message);
    const why = absent
      ? 'the package @tensorflow/tfjs-node-gpu is not installed'
      : `@tensorflow/tfjs-node-gpu does not load: ${message.split('\n', 1)[0] ?? ''}`;
    return { device: 'cuda', why, hint: `${NODE_GPU_HINT}, or leave --device out`, cause };
  }
}

/** In one thread: tfjs starts threads only in browsers. */
async function loadWasm(tf: Tf): Promise<Backend> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  if (tf.findBackend('wasm') === null) {
    setWasmPaths(dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm')) + sep);
  }
  await withoutListeners(() => tf.setBackend('wasm')).then(started => {
    if (!started)
      throw unavailable({ device: 'wasm', why: 'its WebAssembly does not start', hint: 'use --device cpu' });
  });
  const simd = (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) ? ' with SIMD' : '';
  return { tf, name: 'wasm', device: 'wasm', description: `tfjs ${tf.version_core} on wasm${simd}, 1 thread` };
}

async function loadCpu(tf: Tf): Promise<Backend> {
  await import('@tensorflow/tfjs-backend-cpu');
  await tf.setBackend('cpu');
  return { tf, name: 'cpu', device: 'cpu', description: `tfjs ${tf.version_core} on cpu, in JavaScript, 1 thread` };
}

/** Emscripten's start adds listeners that turn errors of the whole process into its own: they go again. */
async function withoutListeners<R>(start: () => Promise<R>): Promise<R> {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = new Set(events.flatMap(event => process.listeners(event as 'uncaughtException')));
  try {
    return await start();
  } finally {
    for (const event of events as readonly 'uncaughtException'[]) {
      for (const listener of process.listeners(event)) if (!before.has(listener)) process.off(event, listener);
    }
  }
}
