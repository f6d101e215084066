import { TensorpressError } from '../../errors.js';
import type { Device, Engine, EngineName, EngineOptions } from './engine.js';
import type { OnnxDevice } from './onnx/runtime.js';

export interface OpenEngine extends EngineOptions {
  /** Default: onnx. */
  readonly engine?: EngineName;
  /** `auto`, the default: a real GPU where the engine has one, else the fastest that there is; `description` says which. */
  readonly device?: 'auto' | Device;
}

type Chosen = 'auto' | Device;

interface Opener {
  readonly devices: readonly Device[];
  readonly open: (device: Chosen, options: EngineOptions) => Promise<Engine>;
}

const OPENERS: Readonly<Record<EngineName, Opener>> = {
  onnx: {
    devices: ['cpu', 'webgpu', 'cuda'],
    open: async (device, options) =>
      (await import('./onnx/engine.js')).createOnnxEngine({ device: device as 'auto' | OnnxDevice, ...options }),
  },
  tfjs: {
    devices: ['cpu', 'wasm', 'cuda'],
    open: async (device, options) => (await import('./tfjs/engine.js')).createTfjsEngine({ device, ...options }),
  },
  reference: {
    devices: ['cpu'],
    open: async () => (await import('./reference/engine.js')).createReferenceEngine(),
  },
};

/**
 * Loads an engine, and no library of the others.
 * @throws TensorpressError ARGUMENT for a device that the engine does not compute on; ENGINE when engine or device are missing here
 */
export async function openEngine({ engine = 'onnx', device = 'auto', threads }: OpenEngine = {}): Promise<Engine> {
  const { devices, open } = OPENERS[engine];
  if (device !== 'auto' && !devices.includes(device)) throw wrongDevice(engine, device, devices);
  return open(device, threads === undefined ? {} : { threads: Math.max(1, threads) });
}

function wrongDevice(engine: EngineName, device: Device, devices: readonly Device[]): TensorpressError {
  const others = Object.entries(OPENERS).flatMap(([name, opener]) =>
    opener.devices.includes(device) ? [`--engine ${name}`] : [],
  );
  const possible = `--device ${['auto', ...devices].join(' or ')}`;
  return new TensorpressError('ARGUMENT', `engine ${engine} does not compute on ${device}`, {
    hint: `use ${[possible, ...others].join(', or ')}`,
  });
}
