import { TensorpressError } from '../../../errors.js';
import type { Device, Engine, Tensor } from '../engine.js';
import { activate, loadBackend, type LoadOptions } from './backend.js';
import { runSlice } from './run.js';
import { TfjsTensor, upload } from './tensor.js';

export interface TfjsOptions extends LoadOptions {
  readonly device?: 'auto' | Device;
}

/**
 * TensorFlow.js as an engine. wasm and cpu compute in one thread, and copy arrays of the caller for each run, so that they may be rewritten
 * between runs; on a GPU they stay on the device. TensorFlow's C library chooses its threads itself. A run blocks its thread.
 * @param options.device `auto`: that of tfjs-node-gpu where it is installed and loads, else wasm, else cpu
 * @throws TensorpressError ENGINE when the device that is asked for by name cannot be had
 */
export async function createTfjsEngine({ device: wanted = 'auto', ...options }: TfjsOptions = {}): Promise<Engine> {
  const backend = await loadBackend(wanted, options);
  const { tf, device, description } = backend;
  const open = new Set<Tensor>();

  /** All at once: tfjs has one active backend, which another engine may change. */
  const compute = <R>(work: () => R): R => {
    try {
      activate(backend);
      return work();
    } catch (cause) {
      if (cause instanceof TensorpressError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new TensorpressError('ENGINE', `tfjs fails on ${device}: ${why}`, {
        hint: 'try another device or engine',
        cause,
      });
    }
  };
  return {
    name: 'tfjs',
    device,
    description,
    precision: 'float32',
    tensor: (data, shape) =>
      new TfjsTensor(device === 'cuda' ? compute(() => upload(tf, data, shape)) : data, shape, open),
    compile: slice => ({
      run: inputs =>
        new Promise(resolve => {
          const outputs = compute(() => runSlice(slice, inputs, backend));
          resolve(
            Object.fromEntries(outputs.map(([value, array]) => [value, new TfjsTensor(array, array.shape, open)])),
          );
        }),
    }),
    close: () => {
      for (const tensor of open) tensor.dispose();
      return Promise.resolve();
    },
  };
}
