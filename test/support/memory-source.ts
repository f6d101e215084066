import type { Source, TensorInfo } from '../../src/formats/source.js';
import { DTYPE_BYTES, type DType } from '../../src/numerics/dtypes.js';

export interface MemoryTensor {
  readonly shape: readonly number[];
  /** Default: BF16. */
  readonly dtype?: DType;
  /** Default: zeros, made when they are read. */
  readonly bytes?: Uint8Array;
}

/** A Source without files: `memorySource({ 'lm_head.weight': { shape: [8, 4] } })`. */
export function memorySource(tensors: Readonly<Record<string, MemoryTensor>>): Source {
  const infos = new Map<string, TensorInfo>();
  for (const [name, { shape, dtype = 'BF16' }] of Object.entries(tensors)) {
    const bytes = shape.reduce((product, size) => product * size, DTYPE_BYTES[dtype]);
    infos.set(name, { name, dtype, shape, bytes, file: 'model.safetensors' });
  }
  return {
    tensors: infos,
    files: [{ path: 'model.safetensors', bytes: 0, mtimeMs: 0, header: new Uint8Array() }],
    read(name, rows) {
      const info = infos.get(name);
      if (info === undefined) return Promise.reject(new Error(`no tensor ${name}`));
      const whole = tensors[name]?.bytes ?? new Uint8Array(info.bytes);
      const row = info.bytes / (info.shape[0] ?? 1);
      return Promise.resolve(rows === undefined ? whole : whole.subarray(rows.from * row, rows.to * row));
    },
    close: () => Promise.resolve(),
  };
}
